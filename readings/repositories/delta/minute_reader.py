"""Reads minutes of one version of a Delta table, for the page finder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from readings import frame
from readings.instants import from_micros
from readings.repositories.chunks import Chunk
from readings.repositories.delta.data_files import (
    DataFiles,
    RowRange,
    collect,
    collect_all,
)
from readings.repositories.delta.day_index import DeltaMinuteIndex
from readings.repositories.delta.decoded_rows import (
    count_in_order_up_to,
    count_up_to,
    decode,
    read_rows,
)
from readings.repositories.delta.file_counts import FileCounts
from readings.repositories.delta.known_meters import KnownMeters
from readings.repositories.delta.minute_statistics import FILE_STATISTICS_SCHEMA
from readings.repositories.delta.version_finder import VersionFinder
from readings.repositories.delta.versions import VersionRows, replace_versions
from readings.repositories.minute_index import (
    MinuteCounts,
    as_int_array,
    clip,
    count_by_minute,
    minute_of_time,
)
from readings.window import Position, Window

_MAX_DECODED_MINUTES = 4
"""Minutes are decoded one by one, and cached, if a call reads at most this many."""
_MAX_RANGES_READ = 32
"""If a page is spread over more row ranges than this, one scan of its minutes is faster."""


class DeltaMinuteReader:
    """The :class:`~readings.repositories.page_finder.MinuteReader` of one version of a table.

    Its readings have the columns of ``frame.VERSION``, and the others of ``columns``.
    """

    def __init__(
        self, files: DataFiles, file_counts: FileCounts, columns: Iterable[str] = frame.COLUMNS
    ) -> None:
        needed = {*frame.VERSION, *columns}
        self.columns = tuple(name for name in frame.FULL_COLUMNS if name in needed)
        self._files = files
        self._folder = files.folder
        self._rows = VersionFinder(files, file_counts)
        self._known_meters = KnownMeters()

    def indexes(self, window: Window) -> Iterator[DeltaMinuteIndex]:
        """Yield one index for each day."""
        return self._rows.indexes(window)

    def count_days(self, window: Window) -> None:
        """Count the files of all days of the window in one query, which is faster than one query for each day."""
        self._rows.count_days(window)

    def without_first_days(self, window: Window, offset: int) -> tuple[Window, int]:
        """Return a window that starts at a later day, and the offset in it of the same readings.

        The table's log has the number of readings of each day. So the days before a page are not counted by minute.
        """
        days = self._files.days.overlapping(window)
        if offset == 0 or window.device_ids or len(days) < 2:
            return window, offset
        readings, complete = days.readings, days.complete
        if not complete[0]:
            # The window starts within this day.
            minutes = self._rows.index(days.first_minute.date()).overlapping(window)
            if not minutes.complete.all():
                return window, offset
            readings = np.concatenate([[minutes.readings.sum()], readings[1:]])
        # Only complete days have this number of readings. Nothing after the last day can be counted.
        known = 1 + int(np.append(complete[1:-1], False).argmin())
        ends = readings[:known].cumsum()
        skipped = int(ends.searchsorted(offset, side="right"))
        if skipped == 0:
            return window, offset
        start = from_micros(days.minute[skipped])
        return replace(window, start=max(window.start, start)), offset - int(ends[skipped - 1])

    def count(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """See :meth:`MinuteReader.count`."""
        if window.bounds_arrival_time:
            return collect(count_by_minute(self.scan(window, first, last, frame.VERSION)))
        # Main files have every reading.
        rows = self._rows.main(first, last, search=bool(window.device_ids))
        readings = rows.scan(self._folder, frame.VERSION).filter(window.predicate())
        return collect(count_by_minute(readings))

    def read(self, window: Window, minutes: MinuteCounts, *, skip: int, limit: int) -> pl.DataFrame:
        """See :meth:`MinuteReader.read`."""
        are_few = len(minutes) <= _MAX_RANGES_READ
        rows = self._rows_in_order(minutes) if are_few else None
        if rows is not None:
            return read_rows(self._folder, rows, self.columns, skip=skip, limit=limit)
        return self._read_minutes(window, minutes).slice(skip, limit)

    def read_span(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """Return the window's readings in the minutes from ``first`` to ``last``, in order."""
        rows = self._valid_rows(window, first, last)
        return rows.read(self._folder, window, self.columns)

    def read_chunk(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """See :meth:`MinuteReader.read_chunk`."""
        first, last = chunk.first_minute, chunk.last_minute
        minutes = self._stored_in_order(clip(window, first, last))
        if minutes is None:
            return self.read_span(window, first, last)
        known = self._known_meters.find(self._folder, minutes, self.columns)
        if known is None:
            readings = self.read_span(window, first, last)
            self._known_meters.remember(minutes, readings)
            return readings
        others = self._rows.others(first, last, window.as_of, search=False)
        if others is None:
            return known.readings(collect(known.query))
        values, found = collect_all([known.query, others.scan(self._folder, window, self.columns)])
        return replace_versions(known.readings(values), found, others.as_of)

    def count_up_to(self, window: Window, position: Position) -> int:
        """Return how many of the window's readings are at or before the position.

        The window must not start before the minute of the position's time.
        """
        for index in self.indexes(window):
            first_minute = index.overlapping(window)[:1]
            if len(first_minute):
                rows = self._rows_in_order(first_minute)
                if rows is not None:
                    return count_in_order_up_to(self._folder, rows[0], position, self.columns)
                return count_up_to(self._read_minutes(window, first_minute), position)
        return 0

    def scan(
        self, window: Window, first: datetime, last: datetime, columns: Sequence[str]
    ) -> pl.LazyFrame:
        """Return the window's readings in the minutes from ``first`` to ``last``, in any order.

        ``columns`` must include those of ``frame.VERSION``.
        """
        rows = self._valid_rows(window, first, last)
        return rows.scan(self._folder, window, columns)

    def search(self, window: Window) -> pl.LazyFrame:
        """Return the window's readings, in any order, without counting them first.

        For a few meters this is faster than :meth:`scan`: counting would read their rows a second time.
        """
        return self._rows.valid_in_files(window).scan(self._folder, window, self.columns)

    def search_identities(self, window: Window) -> pl.LazyFrame:
        """Return the columns ``frame.ORDER`` of the window's readings, as :meth:`search` does."""
        if window.bounds_arrival_time:
            return self.search(window).select(frame.ORDER)
        # Main files have every reading.
        main = self._rows.main_in_files(window).scan(self._folder, frame.ORDER)
        return main.filter(window.predicate())

    def read_versions(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """Return all versions in the minutes of the chunk that are in the window, sorted by ``frame.VERSION``."""
        first, last = chunk.first_minute, chunk.last_minute
        rows = self._rows.every_version(first, last, search=bool(window.device_ids))
        versions = collect(rows.scan(self._folder, self.columns).filter(window.predicate()))
        # To sort them would take their memory a second time.
        return versions if frame.is_in_strict_order(versions) else versions.sort(frame.VERSION)

    def scan_corrected(
        self, window: Window, minutes: Sequence[datetime], columns: Sequence[str]
    ) -> pl.LazyFrame:
        """Return the readings of these :meth:`corrected_minutes`, in any order. The window must bound the time only."""
        readings = self._rows.corrected(minutes).scan(self._folder, window, columns)
        return readings.filter(minute_of_time().is_in(minutes))

    def corrected_minutes(self, window: Window) -> list[datetime]:
        """Return the window's minutes that have versions in files with corrections, ascending."""
        return [
            from_micros(minute)
            for index in self.indexes(window)
            for minute in np.intersect1d(
                index.overlapping(window).minute,
                as_int_array(index.corrections.statistics["minute"]),
            )
        ]

    def revisions(self, window: Window) -> pl.DataFrame:
        """Return how many versions the minutes of the window's days have outside main files.

        Columns ``minute`` and ``revision``, without minutes that have none.
        """
        none = pl.DataFrame(schema={"minute": frame.INSTANT, "revision": pl.Int64()})
        return pl.concat([none, *(index.revisions() for index in self.indexes(window))])

    def statistics(self, window: Window) -> pl.DataFrame | None:
        """Return the statistics of the window's minutes in main files: a row per file and minute, ascending by minute.

        Returns None if a file has none, or if a minute is only partly in the window.
        """
        found = [pl.DataFrame(schema=FILE_STATISTICS_SCHEMA)]
        if not window.bounds_time_only:
            return None
        for index in self.indexes(window):
            minutes = index.overlapping(window)
            rows = index.main.described(minutes) if minutes.complete.all() else None
            if rows is None:
                return None
            found.append(rows)
        return pl.concat(found)

    def _stored_in_order(self, window: Window) -> pl.DataFrame | None:
        """Return the statistics of the window's minutes. None if main files do not have exactly its readings in order."""
        found = []
        for index in self.indexes(window):
            minutes = index.overlapping(window)
            if not len(minutes):
                continue
            described = index.main.described(minutes)
            if (
                described is None
                or not minutes.complete.all()
                or not index.main.has_one_file_for_each(minutes)
            ):
                return None
            found.append(described)
        return pl.concat(found)

    def _rows_in_order(self, minutes: MinuteCounts) -> list[RowRange] | None:
        """Return the rows of some minutes of one day, or None if their order or their number is not known."""
        if not minutes.complete.all():
            return None
        return self._rows.index(minutes.first_minute.date()).rows_in_order(minutes)

    def _valid_rows(self, window: Window, first: datetime, last: datetime) -> VersionRows:
        return self._rows.valid(first, last, window.as_of, search=bool(window.device_ids))

    def _read_minutes(self, window: Window, minutes: MinuteCounts) -> pl.DataFrame:
        """Return the window's readings in some minutes, in order. If the minutes are few, they stay in the cache."""
        if window.device_ids or len(minutes) > _MAX_DECODED_MINUTES:
            return self.read_span(window, minutes.first_minute, minutes.last_minute)
        instants = [from_micros(minute) for minute in minutes.minute]
        rows = [self._rows.valid(minute, minute, window.as_of, search=False) for minute in instants]
        readings = pl.concat([decode(self._folder, each, self.columns) for each in rows])
        return readings if minutes.complete.all() else readings.filter(window.predicate())
