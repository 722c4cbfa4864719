"""Reads minutes of one version of a Delta table, for the page finder."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from threading import Lock

import polars as pl
from cachetools import LRUCache, cached

from readings import frame
from readings.instants import LAST_INSTANT, from_micros
from readings.repositories.chunks import Chunk
from readings.repositories.delta.data_files import DataFiles, RowSelection, collect
from readings.repositories.delta.file_counts import DeltaMinuteIndex, FileCounts
from readings.repositories.minute_index import (
    LAST_MICROSECOND,
    MinuteCounts,
    MinuteIndex,
    count_by_minute,
)
from readings.window import Position, Window

DECODED_BYTES = 256 * 2**20
"""The memory in a process for decoded minutes."""
_MAX_DECODED_MINUTES = 4
"""Minutes are decoded one by one, and cached, if a call reads at most this many."""


@cached(LRUCache(DECODED_BYTES, pl.DataFrame.estimated_size), lock=Lock())
def decode(rows: RowSelection) -> pl.DataFrame:
    """Return the readings of these rows, in order. Data files never change, so the result can be cached."""
    return frame.in_order(collect(rows.scan()))


class DeltaMinuteReader:
    """The :class:`~readings.repositories.page_finder.MinuteReader` of one version of a table."""

    def __init__(self, files: DataFiles, file_counts: FileCounts) -> None:
        self._files = files
        self._file_counts = file_counts

    @cached_property
    def _index(self) -> DeltaMinuteIndex:
        return DeltaMinuteIndex(self._file_counts.get(self._files.by_day))

    def indexes(self, window: Window) -> Iterable[MinuteIndex]:
        """Return one index of all minutes of the version."""
        return [self._index]

    def count(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """See :meth:`MinuteReader.count`."""
        return collect(count_by_minute(self.scan(window, first, last)))

    def read(self, window: Window, minutes: MinuteCounts, *, skip: int, limit: int) -> pl.DataFrame:
        """See :meth:`MinuteReader.read`."""
        return self._read_minutes(window, minutes).slice(skip, limit)

    def read_chunk(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """See :meth:`MinuteReader.read_chunk`."""
        return self._read_span(window, chunk.first_minute, chunk.last_minute)

    def count_up_to(self, window: Window, position: Position) -> int:
        """Return how many of the window's readings are at or before the position.

        The window must not start before the minute of the position's time.
        """
        first_minute = self._index.overlapping(window)[:1]
        if not len(first_minute):
            return 0
        readings = self._read_minutes(window, first_minute)
        times, device_ids = readings["time"], readings["device_id"]
        return bisect_right(
            range(len(readings)),
            (position.time, position.device_id),
            key=lambda row: (times[row], device_ids[row]),
        )

    def scan(self, window: Window, first: datetime, last: datetime) -> pl.LazyFrame:
        """Return the window's readings in the minutes from ``first`` to ``last``, in no particular order."""
        # A search for a few meters decodes less than reading all rows of the minutes does.
        rows = self._select_rows(first, last, search=bool(window.device_ids))
        return rows.scan().filter(window.predicate())

    def search(self, window: Window) -> pl.LazyFrame:
        """Return the window's readings, in no particular order, without counting them first.

        For a few meters this is faster than :meth:`scan`: counting would read their rows a second time.
        """
        end = window.end or LAST_INSTANT
        files = self._files.overlapping(window.start, end)
        return RowSelection(files, window.start, end, None).scan().filter(window.predicate())

    def _read_minutes(self, window: Window, minutes: MinuteCounts) -> pl.DataFrame:
        """Return the window's readings in some minutes, in order. If the minutes are few, they stay decoded in the cache."""
        if window.device_ids or len(minutes) > _MAX_DECODED_MINUTES:
            return self._read_span(window, minutes.first_minute, minutes.last_minute)
        instants = [from_micros(minute) for minute in minutes.minute]
        readings = pl.concat([decode(self._select_rows(minute, minute)) for minute in instants])
        return readings if minutes.complete.all() else readings.filter(window.predicate())

    def _read_span(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        return frame.in_order(collect(self.scan(window, first, last)))

    def _select_rows(
        self, first: datetime, last: datetime, *, search: bool = False
    ) -> RowSelection:
        end = last + LAST_MICROSECOND
        ranges = None if search else self._index.row_ranges(first, last)
        return RowSelection(self._files.overlapping(first, end), first, end, ranges)
