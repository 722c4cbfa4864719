"""Import readings from a file: all of its readings, or none if a row is bad."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
from django.utils import timezone

from readings import frame
from readings.ingest import READINGS_PER_WRITE
from readings.ingest.row_validation import ROW, BadFileError, BadRow, BadRows, parse_rows
from readings.ingest.settled import WRITE_TIME
from readings.ingest.source_file import SourceFile
from readings.repositories import ReadingsRepository
from readings.repositories.chunks import Chunk, split_into_chunks
from readings.repositories.minute_index import count_by_minute

log = logging.getLogger(__name__)

ReportProgress = Callable[[str, int, int | None], None]
"""Called with the current activity, the rows done so far, and the rows in total (None if not known yet)."""


@dataclass(frozen=True)
class ImportedFile:
    """How many rows a file had, how many of them became new readings, and its first and last time."""

    rows: int
    new: int
    start: datetime
    end: datetime


def import_file(
    path: Path,
    column_names: Mapping[str, str],
    repository: ReadingsRepository,
    scratch: Path,
    report_progress: ReportProgress,
    *,
    arrives_at_time: bool = False,
) -> ImportedFile:
    """Check all rows of a CSV, gzip CSV or Parquet file, then write their readings.

    ``column_names`` maps column names of the file to those of the contract. Memory does not grow with the
    file: checked rows are stored as Parquet in a temporary folder inside ``scratch``.

    If the file has no ``arrival_time``, its readings arrive when they are written, so that pages by ``arrived_after``
    contain them. With ``arrives_at_time`` they arrive at their ``time``.

    Two rows with the same ``device_id`` and ``time`` are one reading if all their values are the same.
    Stored readings do not change, so an interrupted import can be started again.

    Raises :class:`BadFileError` if a row is bad or the file cannot be read; then nothing is written. Raises
    :class:`RepositoryUnavailableError` and :class:`ReadingsRefusedError`; then a part may be written.
    """
    source = SourceFile(path)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="import-") as folder:
        rows, has_arrival_time = _check_and_stage(
            source, column_names, Path(folder), report_progress
        )
        if not rows:
            raise BadFileError("the file has no rows.")
        staged = pl.scan_parquet(Path(folder) / "*.parquet")
        counts = count_by_minute(staged).collect(engine="streaming")
        chunks = split_into_chunks(counts, READINGS_PER_WRITE)
        bad, done = BadRows(), 0
        for chunk in chunks:
            report_progress("comparing", done, rows)
            _add_contradictions(bad, _readings_of(staged, chunk))
            done += chunk.readings
        _raise_if_bad(bad, source)
        new, done = 0, 0
        for chunk in chunks:
            report_progress("writing", done, rows)
            readings = _readings_of(staged, chunk).select(frame.COLUMNS).sort(frame.ORDER).collect()
            if has_arrival_time or arrives_at_time:
                new += repository.write(readings)
            else:
                new += _write_as_arriving_now(readings, repository)
            done += chunk.readings
    return ImportedFile(rows, new, chunks[0].start, chunks[-1].end)


def _check_and_stage(
    source: SourceFile,
    column_names: Mapping[str, str],
    folder: Path,
    report_progress: ReportProgress,
) -> tuple[int, bool]:
    """Write the parsed rows as Parquet files into ``folder``.

    Return how many rows the source has, and whether it has a column ``arrival_time``.

    Raises :class:`BadFileError` if a row is bad.
    """
    rows_done, bad, has_arrival_time = 0, BadRows(), False
    for number, rows in enumerate(source.batches(column_names)):
        readings = parse_rows(rows)
        bad.add_invalid_rows(rows, readings)
        if not bad.count:
            readings.write_parquet(folder / f"{number:06}.parquet", compression="lz4")
        rows_done += len(rows)
        has_arrival_time = "arrival_time" in rows.columns
        report_progress("checking", rows_done, None)
    _raise_if_bad(bad, source)
    return rows_done, has_arrival_time


def _write_as_arriving_now(readings: pl.DataFrame, repository: ReadingsRepository) -> int:
    """Write readings that arrive now; those of the future arrive at their time. Return how many were new."""
    now = timezone.now()
    arrival_time = pl.max_horizontal("time", frame.literal(now)).alias("arrival_time")
    new = repository.write(readings.with_columns(arrival_time))
    duration = timezone.now() - now
    if duration > WRITE_TIME:
        log.warning(
            "a write took longer than pages by arrived_after wait for; these pages may miss its readings",
            extra={"seconds": round(duration.total_seconds()), "readings": new},
        )
    return new


def _raise_if_bad(bad: BadRows, source: SourceFile) -> None:
    """Raise :class:`BadFileError` that lists the first bad rows, if there are any."""
    if not bad.count:
        return
    rows = {number for row in bad.first for number in (row.number, row.earlier) if number}
    places = source.places(rows)
    lines = [row.describe(places) for row in bad.first]
    if bad.count > len(lines):
        lines.append(f"and {bad.count - len(lines):,} more bad rows")
    raise BadFileError(
        "\n".join(["nothing was imported from this file.", *(f"  {line}" for line in lines)])
    )


def _readings_of(staged: pl.LazyFrame, chunk: Chunk) -> pl.LazyFrame:
    return staged.filter(pl.col("time").is_between(chunk.start, chunk.end))


def _add_contradictions(bad: BadRows, readings: pl.LazyFrame) -> None:
    """Add the rows whose values differ from those of an earlier row with the same device id and time."""
    keys = readings.select(*frame.ORDER, ROW).collect()
    repeated = keys.filter(pl.len().over(frame.ORDER) > 1)
    if repeated.is_empty():
        return
    values = pl.struct(pl.exclude(ROW, *frame.ORDER))
    contradictions = (
        readings.join(repeated.lazy(), on=ROW, how="semi")
        .sort(ROW)
        .with_columns(
            pl.col(ROW).first().over(frame.ORDER).alias("earlier"), values.alias("values")
        )
        .filter(pl.col("values") != pl.col("values").first().over(frame.ORDER))
        .select(ROW, "earlier")
        .collect()
    )
    for row, earlier in contradictions.iter_rows():
        bad.append(BadRow(row, "has other values for the same device_id and time as", earlier))
