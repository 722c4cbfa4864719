"""Find pages by minute counts: the counts say which minutes hold a page, and only these are read.

So the cost of a page depends on its size, not on its offset, and no engine numbers rows that are not returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Protocol

import numpy as np
import polars as pl

from readings import frame
from readings.instants import from_micros
from readings.repositories.chunks import Chunk, split_into_chunks
from readings.repositories.minute_index import (
    MINUTE_COUNTS_SCHEMA,
    MinuteCounts,
    MinuteIndex,
)
from readings.repositories.page import Page
from readings.repositories.read_ahead import read_ahead
from readings.window import Position, Window

FRAME_READINGS = 50_000
"""About how many readings a frame of :meth:`PageFinder.frames` holds: about 6 MB."""
_FIRST_MINUTES_COUNTED = 64


class MinuteReader(Protocol):
    """What an engine provides: an index of its minutes, and the readings of some of them."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the readings that it returns."""

    def indexes(self, window: Window) -> Iterable[MinuteIndex]:
        """Return the minutes that may hold readings of the window, ascending, in one or more pieces."""

    def count(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """Return how many of the window's readings each minute from ``first`` to ``last`` holds.

        Columns of :data:`MINUTE_COUNTS_SCHEMA`, ascending, without empty minutes.
        """

    def read(self, window: Window, minutes: MinuteCounts, *, skip: int, limit: int) -> pl.DataFrame:
        """Return at most ``limit`` of the window's readings in these minutes, in order, after the first ``skip``."""

    def read_chunk(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """Return all of the window's readings in the minutes of the chunk, in order."""


class PositionReader(MinuteReader, Protocol):
    """A :class:`MinuteReader` of an engine that can also read from a position on."""

    def read_after(
        self, window: Window, minutes: MinuteCounts, position: Position, *, limit: int
    ) -> pl.DataFrame:
        """Return the window's first ``limit`` readings in these minutes that follow the position, in order.

        The window does not start before the position's time.
        """


class PageFinder:
    """Finds the pages, minute counts and frames of windows through a :class:`MinuteReader`.

    Args:
        reader: Reads the minutes. Several threads use it if frames are read ahead.
        reads_ahead: How many frames are read before the caller asks for them. Each takes 6 MB.
    """

    def __init__(self, reader: MinuteReader, *, reads_ahead: int = 0) -> None:
        self._reader = reader
        self._reads_ahead = reads_ahead

    def page(self, window: Window, *, offset: int, size: int) -> Page:
        """Return at most ``size`` readings of the window after its first ``offset`` readings."""
        # One reading more tells whether another page follows.
        return Page.first_of(self._read(window, offset, size + 1), size)

    def _read(self, window: Window, skip: int, limit: int) -> pl.DataFrame:
        found: list[pl.DataFrame] = []
        for counts in self.counted_minutes(window):
            ends = counts.readings.cumsum()
            total = int(ends[-1])
            if skip >= total:
                skip -= total
                continue
            first = int(ends.searchsorted(skip, side="right"))
            last = int(ends.searchsorted(min(skip + limit, total), side="left"))
            before = int(ends[first] - counts.readings[first])
            minutes = counts[first : last + 1]
            rows = self._reader.read(window, minutes, skip=skip - before, limit=limit)
            found.append(rows)
            skip, limit = 0, limit - len(rows)
            if not limit:
                break
        return pl.concat(found) if found else frame.empty(self._reader.columns)

    def page_after(
        self, window: Window, position: Position, *, size: int, reader: PositionReader
    ) -> Page:
        """Return at most ``size`` readings of the window after the position. ``reader`` reads them in order."""
        window = replace(window, start=max(window.start, position.time))
        limit = size + 1
        found: list[pl.DataFrame] = []
        for counts in self.counted_minutes(window):
            start = 0
            while start < len(counts) and limit:
                # Some readings of the first minute come before the position. Only a query could say how many.
                # So the minutes after the first one must hold the whole page.
                ends = counts.readings[start + 1 :].cumsum()
                last = start + 1 + int(ends.searchsorted(limit))
                minutes = counts[start : last + 1]
                rows = reader.read_after(window, minutes, position, limit=limit)
                found.append(rows)
                limit -= len(rows)
                start = last + 1
            if not limit:
                break
        readings = pl.concat(found) if found else frame.empty(self._reader.columns)
        return Page.first_of(readings, size)

    def minute_counts(self, window: Window) -> pl.DataFrame:
        """Return the counts of the window's minutes: :data:`MINUTE_COUNTS_SCHEMA`, ascending, none of them 0."""
        none = pl.DataFrame(schema=MINUTE_COUNTS_SCHEMA)
        return pl.concat([none, *(each.as_frame() for each in self.counted_minutes(window))])

    def frames(
        self, window: Window, *, frame_readings: int = FRAME_READINGS
    ) -> Iterator[pl.DataFrame]:
        """Yield the window's readings in order, as frames of about ``frame_readings`` readings, never empty."""
        chunks = split_into_chunks(self.minute_counts(window), frame_readings)
        # Compaction asks for frames that are twenty times as large. Several of them would need too much memory.
        ahead = self._reads_ahead if frame_readings <= FRAME_READINGS else 0
        for readings in read_ahead(partial(self._reader.read_chunk, window), chunks, ahead):
            if len(readings):
                yield readings

    def counted_minutes(self, window: Window) -> Iterator[MinuteCounts]:
        """Yield exact counts of the window's minutes, ascending, in pieces without empty minutes.

        The index already has the count of a minute whose readings are all in the window. The others are counted
        by reading them: a few at first, then twice as many each time, as most callers stop early.
        """
        for index in self._reader.indexes(window):
            minutes = index.overlapping(window)
            start = 0
            length = len(minutes) if minutes.complete.all() else _FIRST_MINUTES_COUNTED
            while start < len(minutes):
                counts = self._count_partial(window, minutes[start : start + length])
                if len(counts):
                    yield counts
                start, length = start + length, length * 2

    def _count_partial(self, window: Window, minutes: MinuteCounts) -> MinuteCounts:
        """Return the minutes with exact counts. One query covers the first to the last partial minute."""
        if minutes.complete.all():
            return minutes
        incomplete = np.flatnonzero(~minutes.complete)
        first, last = incomplete[0], incomplete[-1]
        counted = self._reader.count(
            window, from_micros(minutes.minute[first]), from_micros(minutes.minute[last])
        )
        return minutes.with_counted(first, last + 1, counted)
