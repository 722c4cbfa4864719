"""Import readings from a file: all of its readings, or none if a row is bad."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl
from django.utils import timezone

from readings import frame
from readings.cancellation import raise_if_cancelled
from readings.ingest import READINGS_PER_WRITE
from readings.ingest.columns import ColumnOptions
from readings.ingest.repeated_hour import resolve_repeated_hours
from readings.ingest.row_report import RowReport
from readings.ingest.row_validation import (
    IS_UNAMBIGUOUS,
    ROW,
    BadFileError,
    BadRow,
    BadRows,
    empty_missing,
    parse_rows,
)
from readings.ingest.scratch import import_folder, readable_twice
from readings.ingest.settled import WRITE_TIME
from readings.ingest.source_file import SourceFile
from readings.ingest.staging import StagedRows
from readings.ingest.stored_differences import compare_with_stored
from readings.repositories import ReadingsRepository
from readings.repositories.chunks import Chunk, split_into_chunks
from readings.repositories.minute_index import count_by_minute

log = logging.getLogger(__name__)

ReportProgress = Callable[[str, int, int | None], None]
"""Called with the current activity, the rows done so far, and the rows in total (None if not known yet)."""


@dataclass(frozen=True)
class ImportedFile:
    """The rows of a file, how many became new readings, how many values were rounded, the first and last time.

    ``differing`` is how many rows have other values than the stored reading of the same meter and time.
    """

    rows: int
    new: int
    rounded: int
    differing: int
    start: datetime
    end: datetime
    differences: list[str]
    """The first of the differing rows, each with its line."""
    implausible: list[str]
    """The first implausible values, each with its line."""


def import_file(
    path: Path,
    options: ColumnOptions,
    repository: ReadingsRepository,
    scratch: Path,
    report_progress: ReportProgress,
    *,
    arrives_at_time: bool = False,
    dry_run: bool = False,
) -> ImportedFile:
    """Check all rows of a CSV, compressed CSV or Parquet file, then write their readings.

    Memory does not grow with the file: checked rows are stored as Parquet in a temporary folder inside ``scratch``.

    If the file has no ``arrival_time``, its readings arrive when they are written, so that pages by ``arrived_after``
    contain them. With ``arrives_at_time`` they arrive at their ``time``.

    Two rows with the same ``device_id`` and ``time`` are one reading if all their values are the same and their times
    have a UTC offset. Without it, the second one may be the hour that a clock repeats in autumn. With a time zone in
    ``options``, the order of a meter's rows tells the two hours apart.

    Stored readings do not change, so an interrupted import can be started again. Rows with other values than the stored
    reading are reported. With ``dry_run`` nothing is written.

    Raises :class:`BadFileError` if a row is bad or the file cannot be read, and :class:`ScratchError`; then nothing is
    written. Raises :class:`RepositoryUnavailableError` and :class:`ReadingsRefusedError`; then a part may be written.
    """
    with import_folder(scratch) as folder:
        source = SourceFile(readable_twice(path, folder), options, folder)
        staged_rows = _check_and_stage(source, options, folder, report_progress)
        if not staged_rows.count:
            raise BadFileError("the file has no rows.")
        staged = pl.scan_parquet(sorted(folder.glob("*.parquet")), glob=False)
        bad = BadRows(options.zone)
        if options.zone is not None:
            staged = resolve_repeated_hours(staged, folder, bad)
        counts = count_by_minute(staged).collect(engine="streaming")
        # To sort readings takes twice the memory.
        size = READINGS_PER_WRITE if staged_rows.in_strict_order else READINGS_PER_WRITE // 2
        chunks = split_into_chunks(counts, size)
        if not staged_rows.in_strict_order:
            for chunk in _each(chunks, "comparing", report_progress):
                _add_contradictions(bad, _readings_of(staged, chunk))
        _raise_if_bad(bad, source)
        write = None if dry_run else repository.write
        if write and not (staged_rows.have_arrival_time or arrives_at_time):
            write = partial(_write_as_arriving_now, repository)
        differing = RowReport()
        new = sum(
            _write_chunk(_distinct_readings_of(staged, chunk), repository, write, differing)
            for chunk in _each(chunks, "writing", report_progress)
        )
        return ImportedFile(
            staged_rows.count,
            new,
            staged_rows.rounded,
            differing.count,
            chunks[0].start,
            chunks[-1].end,
            differing.describe(source, "rows that differ"),
            staged_rows.implausible.describe(source, "implausible values"),
        )


def _each(
    chunks: Sequence[Chunk], activity: str, report_progress: ReportProgress
) -> Iterator[Chunk]:
    """Yield the chunks. Before each one, report the progress and stop if the command was asked to."""
    done, rows = 0, sum(chunk.readings for chunk in chunks)
    for chunk in chunks:
        raise_if_cancelled()
        report_progress(activity, done, rows)
        yield chunk
        done += chunk.readings


def _write_chunk(
    readings: pl.DataFrame,
    repository: ReadingsRepository,
    write: Callable[[pl.DataFrame], int] | None,
    differing: RowReport,
) -> int:
    """Write the readings, or only count them if ``write`` is None. Return how many are new.

    Rows whose values differ from those of stored readings are added to ``differing``. Stored readings are read only if
    there are some of the same meter and time.
    """
    before = repository.snapshot()
    if write is None:
        return len(readings) - compare_with_stored(readings, before, differing)
    new = write(readings.select(frame.COLUMNS))
    if new < len(readings):
        compare_with_stored(readings, before, differing)
    return new


def _check_and_stage(
    source: SourceFile,
    options: ColumnOptions,
    folder: Path,
    report_progress: ReportProgress,
) -> StagedRows:
    """Write the parsed rows as Parquet files into ``folder``.

    Raises :class:`BadFileError` if a row is bad.
    """
    staged, bad = StagedRows(are_local=options.zone is not None), BadRows(options.zone)
    with ThreadPoolExecutor(1) as thread:
        written: Future[None] | None = None
        for batch in source.batches():
            rows = empty_missing(batch, options.missing, decimal_comma=options.decimal_comma)
            parsed = parse_rows(rows, decimal_comma=options.decimal_comma, zone=options.zone)
            bad.add_invalid_rows(rows, parsed.readings)
            if written is not None:
                written.result()
            if len(rows) and not bad.count:
                # The next batch is parsed meanwhile.
                file = folder / f"{staged.count:015}.parquet"
                written = thread.submit(staged.write, parsed.readings, file)
            staged.count += len(rows)
            staged.rounded += parsed.rounded
            staged.have_arrival_time = "arrival_time" in rows.columns
            raise_if_cancelled()
            report_progress("checking", staged.count, None)
        if written is not None:
            written.result()
    _raise_if_bad(bad, source)
    return staged


def _write_as_arriving_now(repository: ReadingsRepository, readings: pl.DataFrame) -> int:
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


def _distinct_readings_of(staged: pl.LazyFrame, chunk: Chunk) -> pl.DataFrame:
    """Return the readings of a chunk in order, each once, with the column :data:`ROW`."""
    readings = _readings_of(staged, chunk).select(ROW, *frame.COLUMNS).collect()
    if frame.is_in_strict_order(readings):
        return readings
    in_order = frame.in_order(readings)
    if frame.is_in_strict_order(in_order):
        return in_order
    return readings.sort(*frame.ORDER, ROW).unique(frame.ORDER, keep="first", maintain_order=True)


def _add_contradictions(bad: BadRows, readings: pl.LazyFrame) -> None:
    """Add the rows that repeat the device id and the time of an earlier row.

    A repeated row is allowed if its values are the same and both times have a UTC offset.
    """
    keys = readings.select(*frame.ORDER, ROW).collect()
    repeated = keys.filter(pl.len().over(frame.ORDER) > 1)
    if repeated.is_empty():
        return
    values = pl.struct(pl.exclude(ROW, IS_UNAMBIGUOUS, *frame.ORDER))
    contradictions = (
        readings.join(repeated.lazy(), on=ROW, how="semi")
        .sort(ROW)
        .with_columns(
            pl.col(ROW).first().over(frame.ORDER).alias("earlier"),
            (values != values.first().over(frame.ORDER)).alias("differs"),
            pl.col(IS_UNAMBIGUOUS).all().over(frame.ORDER).alias("are_unambiguous"),
        )
        .filter(
            (pl.col(ROW) != pl.col("earlier")) & (pl.col("differs") | ~pl.col("are_unambiguous"))
        )
        .select(ROW, "earlier", "differs")
        .collect()
    )
    hint = "" if bad.zone else " (--timezone reads local times)"
    for row, earlier, differs in contradictions.iter_rows():
        reason = (
            "has other values for the same device_id and time as"
            if differs
            else f"may be another hour, because its time has no UTC offset{hint} and is also that of"
        )
        bad.append(BadRow(row, reason, earlier))
