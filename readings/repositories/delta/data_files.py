"""The data files of one version of a Delta table, and the rows in them.

A data file never changes after it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from deltalake import DeltaTable

from readings import frame
from readings.instants import to_micros
from readings.repositories.delta.failures import unavailable_if_it_fails
from readings.repositories.delta.file_kinds import PARTITION, Kind, is_of_kind
from readings.repositories.delta.folder import Folder
from readings.repositories.minute_index import (
    MINUTE_INDEX_SCHEMA,
    BoolArray,
    MinuteIndex,
    as_int_array,
)
from readings.window import Window, window_of_day

# Delta stores the smallest and largest instant of a file truncated to milliseconds.
_STATISTICS_PRECISION = timedelta(milliseconds=1)

_FILES_SCHEMA = {
    "path": pl.String(),
    "day": pl.Date(),
    **{name: kind for name, kind in MINUTE_INDEX_SCHEMA.items() if name != "minute"},
}
"""One row per data file: the bounds of its instants, and the number of readings."""
Columns = tuple[str, ...]
"""Names of columns of ``frame.FULL_SCHEMA``. A tuple, because it is a part of cache keys."""
_OPEN_FILES = 64
"""The number of parsed footers that are kept: about 0.3 MB each. To parse one takes as long as to decode a page."""
_QUERIES_OF_A_FILE = 4
"""How many selections of columns are kept for each open file."""

MAX_ROW_RANGES = 32
"""If readings are spread over more row ranges than this, a scan with a filter is faster than reading each range."""


def collect(query: pl.LazyFrame) -> pl.DataFrame:
    """Return the result of a query on data files.

    Raises :class:`RepositoryUnavailableError` if a file cannot be read.
    """
    with unavailable_if_it_fails("A data file cannot be read"):
        return query.collect(engine="streaming")


def collect_all(queries: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """Return the results of several queries on data files. They run in parallel.

    Raises :class:`RepositoryUnavailableError` if a file cannot be read.
    """
    # Polars would decode a whole file that several queries read, in order to do it once.
    separately = pl.QueryOptFlags(comm_subplan_elim=False)
    with unavailable_if_it_fails("A data file cannot be read"):
        return pl.collect_all(queries, engine="streaming", optimizations=separately)


def scan_files(folder: Folder, files: Iterable[str], **options: Any) -> pl.LazyFrame:
    """Return the rows of some data files, with the columns of ``frame.FULL_SCHEMA``.

    A column that a file does not have is null there. ``options`` are those of :meth:`Folder.scan`.
    """
    return folder.scan(
        files,
        schema=frame.FULL_SCHEMA,
        missing_columns="insert",
        extra_columns="ignore",
        **options,
    )


@lru_cache(_OPEN_FILES)
def _open_file(folder: Folder, file: str) -> pl.LazyFrame:
    # A query keeps the footer of its file, also for the queries that are derived from it.
    return folder.scan([file])


@lru_cache(_OPEN_FILES * _QUERIES_OF_A_FILE)
def stored_columns(folder: Folder, file: str, columns: Columns) -> Columns:
    """Return those of the columns that a data file has."""
    with unavailable_if_it_fails("A data file cannot be read"):
        stored = _open_file(folder, file).collect_schema()
    return tuple(name for name in columns if name in stored)


@lru_cache(_OPEN_FILES * _QUERIES_OF_A_FILE)
def scan_file(folder: Folder, file: str, columns: Columns) -> pl.LazyFrame:
    """Return the readings of a data file. Its footer is parsed once. A column that the file does not have is null."""
    # With a given schema, as in `scan_files`, reading a block takes a fifth more time.
    stored = stored_columns(folder, file, columns)
    return _open_file(folder, file).select(
        pl.col(name) if name in stored else pl.lit(None, frame.FULL_SCHEMA[name]).alias(name)
        for name in columns
    )


class DataFiles:
    """The files of one version of the table in ``folder``, and what the table's log knows about them.

    ``paths`` are sorted by their earliest reading; ``by_day`` maps each UTC day, ascending, to its paths. ``days`` is
    an index with one row per day instead of one per minute. It counts readings, not versions.
    """

    def __init__(self, folder: Folder, files: pl.DataFrame) -> None:
        """``files`` has the columns of :data:`_FILES_SCHEMA`, in this order, sorted by ``first`` and ``path``."""
        self.folder = folder
        self._files = files
        self.paths: list[str] = files["path"].to_list()
        self._first, self._last = as_int_array(files["first"]), as_int_array(files["last"])
        self._last_arrival = as_int_array(files["last_arrival"])
        self._is_of_kind = {
            kind: files.select(is_of_kind(kind, "path")).to_series().to_numpy() for kind in Kind
        }
        days = files.group_by("day").agg(
            "path",
            pl.col("readings").filter(is_of_kind(Kind.MAIN, "path")).sum(),
            pl.col("first", "first_arrival").min(),
            pl.col("last", "last_arrival").max(),
        )
        days = days.sort("day")
        self.by_day: dict[date, tuple[str, ...]] = {
            day: tuple(paths) for day, paths in days.select("day", "path").iter_rows()
        }
        self.days = MinuteIndex(
            days.with_columns(pl.col("day").cast(frame.INSTANT).alias("minute"))
        )

    @classmethod
    def of(cls, folder: Folder, table: DeltaTable) -> DataFiles:
        """Return the files of a table at the version at which it was opened."""
        return cls(folder, _describe(folder, pl.DataFrame(table.get_add_actions(flatten=True))))

    def changed(self, added: Sequence[dict[str, object]], removed: Iterable[str]) -> DataFiles:
        """Return the files after some commits.

        ``added`` are rows of Delta's table of add actions, ``removed`` the names of files.
        """
        paths = [self.folder.path(name) for name in removed]
        kept = self._files.filter(~pl.col("path").is_in(paths))
        new = _describe(self.folder, pl.DataFrame(added))
        return DataFiles(self.folder, pl.concat([kept, new]).sort("first", "path"))

    def overlapping(
        self, start: datetime, end: datetime, kind: Kind = Kind.MAIN
    ) -> tuple[str, ...]:
        """Return the files of a kind that may hold readings with ``start <= time <= end``."""
        found = self._overlaps(start, end) & self._is_of_kind[kind]
        return tuple(self.paths[number] for number in np.flatnonzero(found))

    def has_arrivals_after(self, instant: datetime, day: date) -> bool:
        """Return whether a reading of the day, or a correction of one, arrived after the instant."""
        midnight = window_of_day(day).start
        return self.days.arrives_after(instant, midnight, midnight)

    def other_versions(
        self, start: datetime, end: datetime, as_of: datetime | None
    ) -> tuple[str, ...]:
        """Return the files of other kinds than main files that are needed to find the valid versions."""
        corrections = self.overlapping(start, end, Kind.CORRECTIONS)
        overlaps = self._overlaps(start, end)
        if as_of is None or not (self._last_arrival[overlaps] > to_micros(as_of)).any():
            return corrections
        return corrections + self.overlapping(start, end, Kind.REPLACED)

    def _overlaps(self, start: datetime, end: datetime) -> BoolArray:
        overlaps: BoolArray = (self._last >= to_micros(start)) & (self._first <= to_micros(end))
        return overlaps


def _describe(folder: Folder, actions: pl.DataFrame) -> pl.DataFrame:
    """Return the path, day, number of readings, and bounds of ``time`` and ``arrival_time`` of each file."""
    if actions.is_empty():
        return pl.DataFrame(schema=_FILES_SCHEMA)
    bounds = {"first": "min.time", "first_arrival": "min.arrival_time"}
    upper_bounds = {"last": "max.time", "last_arrival": "max.arrival_time"}
    described = actions.select(
        (pl.lit(folder.path("")) + pl.col("path")).alias("path"),
        pl.col(f"partition.{PARTITION}").alias("day"),
        pl.col("num_records").cast(pl.Int64).alias("readings"),
        *(pl.col(theirs).cast(frame.INSTANT).alias(ours) for ours, theirs in bounds.items()),
        *(
            (pl.col(theirs).cast(frame.INSTANT) + _STATISTICS_PRECISION).alias(ours)
            for ours, theirs in upper_bounds.items()
        ),
    )
    return described.select(*_FILES_SCHEMA).sort("first", "path")


@dataclass(frozen=True)
class RowRange:
    """Consecutive rows of a data file: ``length`` rows from row ``start``.

    ``corrections`` are the rows of other files that hold later versions of some of these readings.
    """

    file: str
    start: int
    length: int
    corrections: tuple[RowRange, ...] = ()


@dataclass(frozen=True)
class RowSelection:
    """The rows that hold the readings with ``first <= time <= last``.

    If ``ranges`` is given, they hold exactly these readings. Otherwise ``files`` must be searched.
    """

    files: tuple[str, ...]
    first: datetime
    last: datetime
    ranges: tuple[RowRange, ...] | None

    def scan(self, folder: Folder, columns: Sequence[str]) -> pl.LazyFrame:
        """Return the readings with these columns, in no particular order. The files are in ``folder``.

        Reading a range is several times as fast as searching for the same rows.
        """
        if self.ranges is not None:
            names = tuple(columns)
            scans = [scan_file(folder, r.file, names).slice(r.start, r.length) for r in self.ranges]
        elif self.files:
            inside = Window(self.first, self.last).predicate()
            scans = [scan_files(folder, self.files).filter(inside).select(columns)]
        else:
            scans = []
        if len(scans) == 1:
            return scans[0]
        return pl.concat(scans) if scans else frame.empty(columns).lazy()


def merge_row_ranges(
    minutes: Iterable[tuple[str, int, int, int]],
) -> tuple[RowRange, ...] | None:
    """Return the rows of some minutes as ranges. Adjacent rows become one range.

    Each minute is (file, first row, number of readings, number of rows from its first to its last reading). Returns
    None if other readings are between those of a minute, or if there are more than :data:`MAX_ROW_RANGES`
    ranges.
    """
    ranges: list[RowRange] = []
    for file, row, readings, span in sorted(minutes):
        if span != readings:
            return None
        last = ranges[-1] if ranges else None
        if last is not None and (last.file, last.start + last.length) == (file, row):
            ranges[-1] = RowRange(file, last.start, last.length + readings)
        elif len(ranges) < MAX_ROW_RANGES:
            ranges.append(RowRange(file, row, readings))
        else:
            return None
    return tuple(ranges)
