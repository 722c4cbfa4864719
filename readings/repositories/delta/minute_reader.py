"""Reads minutes of one version of a Delta table, for the page finder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime
from math import ceil, inf

import numpy as np
import polars as pl

from readings import frame
from readings.instants import LAST_INSTANT, from_micros
from readings.repositories.chunks import Chunk
from readings.repositories.delta.data_files import (
    DataFiles,
    RowRange,
    RowSelection,
    collect,
    merge_row_ranges,
)
from readings.repositories.delta.decoded_rows import (
    count_in_order_up_to,
    count_up_to,
    decode,
    read_rows,
)
from readings.repositories.delta.file_counts import DeltaMinuteIndex, FileCounts
from readings.repositories.delta.meter_rows import read_meters
from readings.repositories.delta.minute_statistics import FILE_STATISTICS_SCHEMA
from readings.repositories.minute_index import LAST_MICROSECOND, MinuteCounts, count_by_minute
from readings.window import Position, Window

_MAX_DECODED_MINUTES = 4
"""Minutes are decoded one by one, and cached, if a call reads at most this many."""
_MINUTES_PER_DAY = 1440
_MIN_MINUTES_SEARCHED = 64
"""Few meters have few readings in a minute, so at least this many minutes are searched at once."""
_MAX_FILES_READ_BY_ROW = 32
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
        self._file_counts = file_counts

    def indexes(self, window: Window) -> Iterator[DeltaMinuteIndex]:
        """Yield one index for each day."""
        for day in self._days(window):
            yield self._index(day)

    def count_days(self, window: Window) -> None:
        """Count the files of all days of the window in one query, which is faster than one query for each day."""
        self._file_counts.load({day: self._files.by_day[day] for day in self._days(window)})

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
            minutes = self._index(days.first_minute.date()).overlapping(window)
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
        return collect(count_by_minute(self.scan(window, first, last)))

    def read(self, window: Window, minutes: MinuteCounts, *, skip: int, limit: int) -> pl.DataFrame:
        """See :meth:`MinuteReader.read`."""
        rows = self._rows_in_order(minutes)
        if rows is not None and len(rows) <= _MAX_FILES_READ_BY_ROW:
            return read_rows(self._folder, rows, self.columns, skip=skip, limit=limit)
        return self._read_minutes(window, minutes).slice(skip, limit)

    def read_meters(self, window: Window, limit: float = inf) -> pl.DataFrame:
        """Return the first ``limit`` readings of the window, in order. The window must name a few meters.

        They are not counted first: to count the readings of a meter takes as long as to read them.
        """
        expected = min(limit / len(window.device_ids), _MINUTES_PER_DAY)
        length = max(_MIN_MINUTES_SEARCHED, ceil(expected))
        found = [frame.empty(self.columns)]
        for index in self.indexes(window):
            minutes = index.overlapping(window)
            for start in range(0, len(minutes), length):
                if limit <= 0:
                    break
                found.append(self._read_meters(window, index, minutes[start : start + length]))
                limit -= len(found[-1])
        return pl.concat(found)

    def read_chunk(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """See :meth:`MinuteReader.read_chunk`."""
        return self._read_span(window, chunk.first_minute, chunk.last_minute)

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

    def scan(self, window: Window, first: datetime, last: datetime) -> pl.LazyFrame:
        """Return the window's readings, with all columns, in the minutes from ``first`` to ``last``, in any order."""
        # A search for a few meters decodes less than reading all rows of the minutes does.
        rows = self._select_rows(first, last, search=bool(window.device_ids))
        return rows.scan(self._folder).filter(window.predicate())

    def search(self, window: Window) -> pl.LazyFrame:
        """Return the window's readings, with all columns, in any order, without counting them first.

        For a few meters this is faster than :meth:`scan`: counting would read their rows a second time.
        """
        end = window.end or LAST_INSTANT
        files = self._files.overlapping(window.start, end)
        rows = RowSelection(files, window.start, end, None)
        return rows.scan(self._folder).filter(window.predicate())

    def statistics(self, window: Window) -> pl.DataFrame | None:
        """Return the statistics of the window's minutes, one row per file and minute, ascending by minute.

        Returns None if a file has none, or if a minute is only partly in the window.
        """
        found = [pl.DataFrame(schema=FILE_STATISTICS_SCHEMA)]
        if not window.bounds_time_only:
            return None
        for index in self.indexes(window):
            minutes = index.overlapping(window)
            rows = index.described(minutes) if minutes.complete.all() else None
            if rows is None:
                return None
            found.append(rows)
        return pl.concat(found)

    def _days(self, window: Window) -> list[date]:
        days = self._files.days.overlapping(window).minute
        return [from_micros(midnight).date() for midnight in days]

    def _index(self, day: date) -> DeltaMinuteIndex:
        return self._file_counts.index(day, self._files.by_day[day])

    def _rows_in_order(self, minutes: MinuteCounts) -> list[RowRange] | None:
        """Return the rows of some minutes of one day, or None if their order or their number is not known."""
        if not minutes.complete.all():
            return None
        return self._index(minutes.first_minute.date()).rows_in_order(minutes)

    def _read_meters(
        self, window: Window, index: DeltaMinuteIndex, minutes: MinuteCounts
    ) -> pl.DataFrame:
        """Return the window's readings in some minutes of an index, in order."""
        statistics = index.described(minutes)
        if statistics is not None:
            readings = read_meters(self._folder, statistics, window.device_ids, self.columns)
            if readings is not None:
                return readings.filter(window.predicate())
        return self._read_span(window, minutes.first_minute, minutes.last_minute)

    def _read_minutes(self, window: Window, minutes: MinuteCounts) -> pl.DataFrame:
        """Return the window's readings in some minutes, in order. If the minutes are few, they stay decoded in the cache."""
        if window.device_ids or len(minutes) > _MAX_DECODED_MINUTES:
            return self._read_span(window, minutes.first_minute, minutes.last_minute)
        instants = [from_micros(minute) for minute in minutes.minute]
        rows = [self._select_rows(minute, minute) for minute in instants]
        readings = pl.concat([decode(self._folder, each, self.columns) for each in rows])
        return readings if minutes.complete.all() else readings.filter(window.predicate())

    def _read_span(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        return frame.in_order(collect(self.scan(window, first, last).select(self.columns)))

    def _select_rows(
        self, first: datetime, last: datetime, *, search: bool = False
    ) -> RowSelection:
        end = last + LAST_MICROSECOND
        ranges = None if search else self._row_ranges(first, last)
        return RowSelection(self._files.overlapping(first, end), first, end, ranges)

    def _row_ranges(self, first: datetime, last: datetime) -> tuple[RowRange, ...] | None:
        indexes = self.indexes(Window(first, last + LAST_MICROSECOND))
        return merge_row_ranges(rows for index in indexes for rows in index.file_rows(first, last))
