"""Snapshots that find rows by counts: how many readings each minute holds tells which minutes hold a page.

So a page costs what it returns, wherever it is, and no engine has to number rows that nobody sees.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime

import numpy as np
import polars as pl

from readings import frame
from readings.repositories.base import Page, Snapshot
from readings.repositories.chunks import split_into_chunks
from readings.repositories.minute_index import COUNTS_SCHEMA, Counts, MinuteTotals, instant_of
from readings.window import Position, Window

FRAME_READINGS = 250_000
"""About how many readings a frame of :meth:`Snapshot.frames` holds: some 30 MB."""
_FEW_DOZEN_MINUTES = 64


class SnapshotByMinute(Snapshot):
    """What engines have in common that can count by minute, and read minutes."""

    def page(
        self, window: Window, *, offset: int, size: int, after: Position | None = None
    ) -> Page:
        """See :meth:`Snapshot.page`."""
        wanted = size + 1
        if after is None:
            readings = self._page(window, offset, wanted)
        else:
            readings = self._page_behind(window, after, wanted)
        return Page(readings.head(size), more=len(readings) > size)

    def counts(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.counts`."""
        none = pl.DataFrame(schema=COUNTS_SCHEMA)
        return pl.concat([none, *(each.as_frame() for each in self._count_stretches(window))])

    def frames(self, window: Window, *, about: int = FRAME_READINGS) -> Iterator[pl.DataFrame]:
        """See :meth:`Snapshot.frames`; each holds ``about`` so many readings."""
        for chunk in split_into_chunks(self.counts(window), about):
            readings = self._stretch(window, chunk.first_minute, chunk.last_minute)
            if len(readings):
                yield readings

    @abstractmethod
    def _totals(self, window: Window) -> Iterable[MinuteTotals]:
        """The minutes that may hold readings of the window, ascending, in as many pieces as suits the engine."""

    @abstractmethod
    def _counted(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """How many of the window's readings each of the minutes from ``first`` to ``last`` holds.

        Columns of :data:`COUNTS_SCHEMA`, ascending, minutes without any left out.
        """

    @abstractmethod
    def _rows(self, window: Window, minutes: Counts, skip: int, wanted: int) -> pl.DataFrame:
        """Of the window's readings in these minutes, ``wanted`` behind the first ``skip``, in order."""

    @abstractmethod
    def _page_behind(self, window: Window, after: Position, wanted: int) -> pl.DataFrame:
        """The window's first ``wanted`` readings behind ``after``, in order."""

    @abstractmethod
    def _stretch(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """The window's readings in the minutes from ``first`` to ``last``, in order."""

    def _page(self, window: Window, skip: int, wanted: int) -> pl.DataFrame:
        found: list[pl.DataFrame] = []
        for counts in self._count_stretches(window):
            ends = counts.readings.cumsum()
            total = int(ends[-1])
            if skip >= total:
                skip -= total
                continue
            first = int(ends.searchsorted(skip, side="right"))
            last = int(ends.searchsorted(min(skip + wanted, total), side="left"))
            before = int(ends[first] - counts.readings[first])
            rows = self._rows(window, counts[first : last + 1], skip - before, wanted)
            found.append(rows)
            skip, wanted = 0, wanted - len(rows)
            if not wanted:
                break
        return pl.concat(found) if found else frame.empty()

    def _count_stretches(self, window: Window) -> Iterator[Counts]:
        """The window's counts by minute, in stretches without empty ones.

        A minute that lies in the window whole is counted already. The others are counted by
        reading them, first a few and then ever more, as most callers stop early.
        """
        for totals in self._totals(window):
            minutes = totals.overlapping(window)
            start, length = 0, len(minutes) if minutes.whole.all() else _FEW_DOZEN_MINUTES
            while start < len(minutes):
                counts = self._counts_of(window, minutes[start : start + length])
                if len(counts):
                    yield counts
                start, length = start + length, length * 2

    def _counts_of(self, window: Window, minutes: Counts) -> Counts:
        if minutes.whole.all():
            return minutes
        partial = np.flatnonzero(~minutes.whole)
        first, last = partial[0], partial[-1]
        read = self._counted(
            window, instant_of(minutes.minute[first]), instant_of(minutes.minute[last])
        )
        return minutes.with_counted(first, last + 1, read)
