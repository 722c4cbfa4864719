"""Real readings from files: all of a file, or nothing of it."""

from __future__ import annotations

import csv
import gzip
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from readings import frame
from readings.ingest.row_validation import ROW, BadFileError, BadRow, BadRows, converted, renamed
from readings.repositories import ReadingsRepository

BATCH_ROWS = 200_000
READINGS_A_WRITE = 600_000
_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

Progress = Callable[[str, int, int | None], None]
"""Told what is being done, how many rows of it, and of how many where that is known."""


@dataclass(frozen=True)
class Loaded:
    """What came of one file."""

    readings: int
    new: int


def load(
    file: Path, names: Mapping[str, str], store: ReadingsRepository, scratch: Path, tell: Progress
) -> Loaded:
    """Check a whole file, then keep its readings. ``names`` maps its columns' names to ours.

    Takes CSV, gzip CSV and Parquet. Memory does not grow with the file: what was checked waits
    below ``scratch``. Raises :class:`BadFileError` that names the bad rows; nothing is kept then.
    """
    magic = _magic(file)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="loading-") as folder:
        rows = _stage(file, magic, names, Path(folder), tell)
        if not rows:
            raise BadFileError("there are no rows in it.")
        stretches = _stretches(pl.scan_parquet(Path(folder) / "*.parquet"))
        bad = BadRows()
        for number, stretch in enumerate(stretches):
            tell("comparing", number * READINGS_A_WRITE, rows)
            _add_contradictions(bad, stretch)
        _refuse(bad, file, magic)
        new = 0
        for number, stretch in enumerate(stretches):
            tell("writing", number * READINGS_A_WRITE, rows)
            new += store.write(stretch.select(frame.COLUMNS).sort(frame.ORDER).collect())
    return Loaded(rows, new)


def _magic(file: Path) -> bytes:
    """The file's first bytes, which tell its kind whatever its name says."""
    try:
        with file.open("rb") as opened:
            magic = opened.read(4)
    except OSError as error:
        raise BadFileError(f"{error.strerror}.") from None
    if not magic:
        raise BadFileError("it is empty.")
    if magic.startswith(_UTF16_MARKS):
        raise BadFileError("it is not UTF-8 text.")
    return magic


def _stage(file: Path, magic: bytes, names: Mapping[str, str], folder: Path, tell: Progress) -> int:
    """Convert the file into Parquet files in ``folder``; says how many rows."""
    total, bad = 0, BadRows()
    for number, rows in enumerate(_batches(file, magic, names)):
        readings = converted(rows)
        bad.add_unread(rows, readings)
        if not bad.count:
            readings.write_parquet(folder / f"{number:06}.parquet", compression="lz4")
        total += len(rows)
        tell("checking", total, None)
    _refuse(bad, file, magic)
    return total


def _batches(file: Path, magic: bytes, names: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """The file's rows, every value a text but for Parquet's own instants, with their number."""
    try:
        source = _parquet(file) if magic == _PARQUET_MAGIC else _csv(file)
        ours = renamed(source.collect_schema().names(), names)
        numbered = source.rename(ours).with_row_index(ROW, offset=1)
        yield from numbered.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
    except (pl.exceptions.PolarsError, OSError, EOFError) as error:
        raise BadFileError(_why_unreadable(file, magic, error)) from None


def _parquet(file: Path) -> pl.LazyFrame:
    instants = pl.selectors.datetime()
    return pl.scan_parquet(file).with_columns((pl.selectors.all() - instants).cast(pl.String))


def _csv(file: Path) -> pl.LazyFrame:
    return pl.scan_csv(file, infer_schema=False)


def _why_unreadable(file: Path, magic: bytes, error: Exception) -> str:
    """Polars does not say which line stopped it; reading the plain way finds it."""
    if magic == _PARQUET_MAGIC:
        return f"it is no Parquet file that can be read: {_first_line(error)}"
    try:
        rows = _csv_rows(file, magic)
        header = next(rows, None)
        if header is None:
            return "it is empty."
        width = len(header[1])
        for line, row in rows:
            if row and len(row) != width:
                return (
                    f"nothing of it was loaded.\n"
                    f"  line {line}: {len(row)} values where the header has {width}"
                )
    except UnicodeDecodeError:
        return "it is not UTF-8 text."
    except (OSError, EOFError) as broken:
        return f"it cannot be read to its end: {_first_line(broken)}"
    except csv.Error as broken:
        return f"it cannot be read: {_first_line(broken)}"
    return f"it cannot be read: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _csv_rows(file: Path, magic: bytes) -> Iterator[tuple[int, list[str]]]:
    """The header and every row behind it, blank ones too, with the line each begins on."""
    opened = gzip.open if magic.startswith(_GZIP_MAGIC) else open
    with opened(file, "rt", encoding="utf-8", newline="") as text:
        rows = csv.reader(text)
        line, header_seen = 1, False
        for row in rows:
            header_seen = header_seen or bool(row)
            if header_seen:
                yield line, row
            line = rows.line_num + 1


def _refuse(bad: BadRows, file: Path, magic: bytes) -> None:
    """Raises :class:`BadFileError` that lists the first bad rows, when there are any."""
    if not bad.count:
        return
    place = _places(file, magic, bad.first)
    lines = [
        f"{place[row.number]}: {row.reason}" + (f" {place[row.earlier]}" if row.earlier else "")
        for row in bad.first
    ]
    if bad.count > len(lines):
        lines.append(f"and {bad.count - len(lines):,} more bad rows")
    raise BadFileError("\n".join(["nothing of it was loaded.", *(f"  {line}" for line in lines)]))


def _places(file: Path, magic: bytes, bad: list[BadRow]) -> dict[int, str]:
    """Where bad rows stand: in a CSV file the line, which quoted line ends set apart from the row."""
    numbers = {number for row in bad for number in (row.number, row.earlier) if number}
    places = {number: f"row {number}" for number in numbers}
    if magic == _PARQUET_MAGIC:
        return places
    # Python's reader stops at values of 128 KiB; what is behind one keeps its row's number.
    with suppress(csv.Error):
        for number, (line, _) in zip(range(max(numbers) + 1), _csv_rows(file, magic), strict=False):
            if number in numbers:
                places[number] = f"line {line}"
    return places


def _stretches(staged: pl.LazyFrame) -> list[pl.LazyFrame]:
    """The readings by time, about :data:`READINGS_A_WRITE` at once, cut at whole minutes."""
    time = pl.col("time")
    minutes = (
        staged.group_by(time.dt.truncate("1m").alias("minute"))
        .agg(pl.len(), time.min().alias("first"), time.max().alias("last"))
        .sort("minute")
        .collect(engine="streaming")
    )
    bounds = (
        minutes.group_by((pl.col("len").cum_sum() - 1) // READINGS_A_WRITE)
        .agg(pl.col("first").min(), pl.col("last").max())
        .sort("first")
        .select("first", "last")
    )
    return [staged.filter(time.is_between(first, last)) for first, last in bounds.iter_rows()]


def _add_contradictions(bad: BadRows, stretch: pl.LazyFrame) -> None:
    """Add the rows that give other values for a meter's time than an earlier row does."""
    keys = stretch.select(*frame.ORDER, ROW).collect()
    doubled = keys.filter(pl.len().over(frame.ORDER) > 1)
    if doubled.is_empty():
        return
    values = pl.struct(pl.exclude(ROW, *frame.ORDER))
    contradictions = (
        stretch.join(doubled.lazy(), on=ROW, how="semi")
        .sort(ROW)
        .with_columns(
            pl.col(ROW).first().over(frame.ORDER).alias("earlier"), values.alias("values")
        )
        .filter(pl.col("values") != pl.col("values").first().over(frame.ORDER))
        .select(ROW, "earlier")
        .collect()
    )
    for row, earlier in contradictions.iter_rows():
        bad.append(BadRow(row, "device_id, time are there with other values in", earlier))
