"""Import readings from a file: all of its readings, or none if a row is bad."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from readings import frame
from readings.cancellation import raise_if_cancelled
from readings.ingest import READINGS_PER_WRITE
from readings.ingest.chunk_writer import ChunkWriter
from readings.ingest.columns import ColumnOptions
from readings.ingest.contradictions import add_contradictions
from readings.ingest.corrections import FileColumns
from readings.ingest.repeated_hour import resolve_repeated_hours
from readings.ingest.row_validation import (
    IS_UNAMBIGUOUS,
    ROW,
    BadFileError,
    BadRows,
    empty_missing,
    parse_rows,
)
from readings.ingest.scratch import import_folder, readable_twice
from readings.ingest.source_file import SourceFile
from readings.ingest.staging import StagedRows
from readings.repositories import ReadingsRepository
from readings.repositories.chunks import Chunk, split_into_chunks
from readings.repositories.minute_index import count_by_minute

ReportProgress = Callable[[str, int, int | None], None]
"""Called with the current activity, the rows done so far, and the rows in total (None if not known yet)."""


@dataclass(frozen=True)
class ImportedFile:
    """How many rows of a file were stored and as what, how many values were rounded, the first and last time.

    ``new`` counts readings that were not stored, ``corrected`` versions that replace a stored reading, ``older``
    versions that arrived before the stored reading, ``conflicting`` rows that were not stored, because a version with
    other values has the same or a later arrival time. The values of all other rows were stored already.
    """

    rows: int
    new: int
    corrected: int
    older: int
    conflicting: int
    rounded: int
    start: datetime
    end: datetime
    corrections: list[str]
    """In a dry run: the first corrections, each with its line."""
    conflicts: list[str]
    """The first conflicting rows, each with its line."""
    implausible: list[str]
    """The first implausible values, each with its line."""

    @property
    def already_stored(self) -> int:
        """The number of rows that changed nothing."""
        return self.rows - self.new - self.corrected - self.older - self.conflicting


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

    Two rows with the same ``device_id``, ``time`` and ``arrival_time`` are one version of a reading if all their values
    are the same and their times have a UTC offset. Without it, the second one may be the hour that a clock repeats in
    autumn. With a time zone in ``options``, the order of a meter's rows distinguishes the two hours.

    Rows with other values than the stored reading are stored as corrections if they arrive after it; see
    :func:`compare_with_stored`. Rows that are stored already change nothing, so an interrupted import can be started
    again. With ``dry_run`` nothing is written.

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
        # Sorting takes twice the memory.
        size = READINGS_PER_WRITE if staged_rows.in_strict_order else READINGS_PER_WRITE // 2
        chunks = split_into_chunks(counts, size)
        if not staged_rows.in_strict_order:
            for chunk in _each(chunks, "comparing", report_progress):
                add_contradictions(bad, _readings_of(staged, chunk))
        _raise_if_bad(bad, source)
        arrive_now = not (staged_rows.columns.has_arrival_time or arrives_at_time)
        writer = ChunkWriter(repository, staged_rows.columns, arrive_now, dry_run)
        new = sum(
            writer.write(_distinct_versions_of(staged, chunk))
            for chunk in _each(chunks, "writing", report_progress)
        )
        found = writer.differences
        return ImportedFile(
            rows=staged_rows.count,
            new=new,
            corrected=found.corrections.count,
            older=found.older,
            conflicting=found.conflicts.count,
            rounded=staged_rows.rounded,
            start=chunks[0].start,
            end=chunks[-1].end,
            corrections=found.corrections.describe(source, "corrections") if dry_run else [],
            conflicts=found.conflicts.describe(source, "conflicting rows"),
            implausible=staged_rows.implausible.describe(source),
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


def _check_and_stage(
    source: SourceFile,
    options: ColumnOptions,
    folder: Path,
    report_progress: ReportProgress,
) -> StagedRows:
    """Write the parsed rows as Parquet files into ``folder``.

    Raises :class:`BadFileError` if a row is bad.
    """
    staged = StagedRows(are_local=options.zone is not None)
    bad = BadRows(options.zone, options.name_in_file("quality"))
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
            staged.columns = FileColumns.of(rows.columns)
            raise_if_cancelled()
            report_progress("checking", staged.count, None)
        if written is not None:
            written.result()
    _raise_if_bad(bad, source)
    return staged


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


def _distinct_versions_of(staged: pl.LazyFrame, chunk: Chunk) -> pl.DataFrame:
    """Return the versions of a chunk, sorted by ``frame.VERSION``, each once, with the column :data:`ROW`."""
    readings = _readings_of(staged, chunk).drop(IS_UNAMBIGUOUS).collect()
    if frame.is_in_strict_order(readings):
        return readings
    in_order = frame.in_order(readings)
    if frame.is_in_strict_order(in_order):
        return in_order
    in_order = readings.sort(*frame.VERSION, ROW)
    return in_order.unique(frame.VERSION, keep="first", maintain_order=True)
