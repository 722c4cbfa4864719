"""Real readings from files: all of a file, or nothing of it."""

from __future__ import annotations

import csv
import gzip
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from readings import frame
from readings.incoming import LINE, BadFileError, BadRow, converted, renamed
from readings.repositories import ReadingsRepository

BATCH_ROWS = 500_000
READINGS_A_WRITE = 600_000
NAMED_BAD_ROWS = 20
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

    Takes CSV, gzip CSV and Parquet. Memory is bounded by a batch: what was checked waits
    below ``scratch``. Raises :class:`BadFileError` that names the bad rows; nothing is kept then.
    """
    with tempfile.TemporaryDirectory(dir=scratch, prefix="loading-") as folder:
        rows = _checked(file, names, Path(folder), tell)
        if not rows:
            raise BadFileError("there are no rows in it.")
        staged = pl.scan_parquet(Path(folder) / "*.parquet")
        _refuse_doubles(staged)
        new = 0
        for number, readings in enumerate(_stretches(staged)):
            tell("writing", number * READINGS_A_WRITE, rows)
            new += store.write(readings)
    return Loaded(rows, new)


def _checked(file: Path, names: Mapping[str, str], folder: Path, tell: Progress) -> int:
    """Convert the file into Parquet files in ``folder``; says how many rows."""
    total, bad = 0, list[BadRow]()
    for number, rows in enumerate(_batches(file, names)):
        readings, wrong = converted(rows)
        bad += wrong
        if not bad:
            readings.write_parquet(folder / f"{number:06}.parquet")
        total += len(rows)
        tell("checking", total, None)
    if bad:
        raise BadFileError(_listed(bad))
    return total


def _listed(bad: list[BadRow]) -> str:
    lines = [f"line {row.line}: {row.column} {row.reason}" for row in sorted(bad)[:NAMED_BAD_ROWS]]
    if len(bad) > NAMED_BAD_ROWS:
        lines.append(f"and {len(bad) - NAMED_BAD_ROWS:,} more")
    return "\n".join(["nothing of it was loaded.", *(f"  {line}" for line in lines)])


def _batches(file: Path, names: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """The file's rows, every value a text but for Parquet's own instants, with their line."""
    try:
        with file.open("rb") as opened:
            magic = opened.read(4)
    except OSError as error:
        raise BadFileError(f"{error.strerror}.") from None
    if not magic:
        raise BadFileError("it is empty.")
    if magic.startswith(_UTF16_MARKS):
        raise BadFileError("it is not UTF-8 text.")
    parquet = magic == _PARQUET_MAGIC
    source = _parquet(file) if parquet else _csv(file)
    try:
        ours = renamed(source.collect_schema().names(), names)
        numbered = source.rename(ours).with_row_index(LINE, offset=1 if parquet else 2)
        yield from numbered.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
    except (pl.exceptions.PolarsError, OSError, EOFError) as error:
        raise BadFileError(_why_unreadable(file, magic, error)) from None


def _parquet(file: Path) -> pl.LazyFrame:
    source = pl.scan_parquet(file)
    temporal = pl.selectors.datetime()
    return source.select(pl.selectors.all() - temporal, temporal).with_columns(
        (pl.selectors.all() - temporal).cast(pl.String)
    )


def _csv(file: Path) -> pl.LazyFrame:
    return pl.scan_csv(file, infer_schema=False)


def _why_unreadable(file: Path, magic: bytes, error: Exception) -> str:
    """Polars does not say which line stopped it; reading the plain way finds it."""
    if magic == _PARQUET_MAGIC:
        return f"it is no Parquet file that can be read: {_first_line(error)}"
    opened = gzip.open if magic.startswith(_GZIP_MAGIC) else open
    try:
        with opened(file, "rt", encoding="utf-8", newline="") as text:
            rows = csv.reader(text)
            width = len(next(rows))
            for row in rows:
                if len(row) != width:
                    return (
                        f"nothing of it was loaded.\n"
                        f"  line {rows.line_num}: {len(row)} values where the header has {width}"
                    )
    except UnicodeDecodeError:
        return "it is not UTF-8 text."
    except (OSError, EOFError) as broken:
        return f"it cannot be read to its end: {_first_line(broken)}"
    return f"it cannot be read: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _refuse_doubles(staged: pl.LazyFrame) -> None:
    doubled = (
        staged.group_by(frame.ORDER)
        .agg(pl.len().alias("rows"), pl.col(LINE).min().alias("first"), pl.col(LINE).max())
        .filter(pl.col("rows") > 1)
        .select(LINE, "first")
        .collect(engine="streaming")
    )
    if len(doubled):
        raise BadFileError(
            _listed(
                [
                    BadRow(line, "device_id, time", f"are those of line {first} again")
                    for line, first in doubled.iter_rows()
                ]
            )
        )


def _stretches(staged: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The readings in order, about :data:`READINGS_A_WRITE` at a time, cut at whole hours."""
    hour = pl.col("time").dt.truncate("1h")
    hours = staged.group_by(hour.alias("hour")).len().sort("hour").collect(engine="streaming")
    number = (pl.col("len").cum_sum() - 1) // READINGS_A_WRITE
    for stretch in hours.with_columns(number.alias("stretch")).partition_by(
        "stretch", maintain_order=True
    ):
        inside = hour.is_between(stretch["hour"][0], stretch["hour"][-1])
        yield staged.filter(inside).select(frame.COLUMNS).sort(frame.ORDER).collect()
