"""One version of a Delta table, read without ever numbering rows that are not returned."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock

import numpy as np
import polars as pl
from cachetools import LRUCache, cached

from readings import frame
from readings.repositories.base import Page, Snapshot
from readings.repositories.delta_files import DataFiles, Rows, collected, instant_of
from readings.repositories.delta_minutes import Counts, MinuteCounts, Minutes, minute_of_time
from readings.window import Position, Window

_MINUTE = timedelta(minutes=1)
_LAST_MICROSECOND = _MINUTE - timedelta(microseconds=1)

FRAME_READINGS = 250_000
"""About how many readings a frame of :meth:`Snapshot.frames` holds: some 30 MB."""
DECODED_BYTES = 256 * 2**20
"""How much memory a process spends on minutes it has decoded."""
_FEW_MINUTES = 4
_FEW_DOZEN_MINUTES = 64


@cached(LRUCache(DECODED_BYTES, pl.DataFrame.estimated_size), lock=Lock())
def decoded(rows: Rows) -> pl.DataFrame:
    """Readings in order. Data files never change, so what was decoded of them stays true."""
    return frame.in_order(collected(rows.scan()))


class DeltaSnapshot(Snapshot):
    """A version of the table; the version's number is its name."""

    def __init__(self, version: int, files: DataFiles, counts: MinuteCounts) -> None:
        self.name = str(version)
        self._files = files
        self._file_counts = counts

    def page(
        self, window: Window, *, offset: int, size: int, after: Position | None = None
    ) -> Page:
        """See :meth:`Snapshot.page`. With ``after``, rows before that minute are not even counted."""
        skip = offset
        if after is not None:
            window = replace(window, start=max(window.start, after.time))
            skip = self._rows_up_to(window, after)
        wanted = size + 1
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
            rows = self._readings(window, counts[first : last + 1]).slice(skip - before, wanted)
            found.append(rows)
            skip, wanted = 0, wanted - len(rows)
            if not wanted:
                break
        readings = pl.concat(found) if found else frame.empty()
        return Page(readings.head(size), more=len(readings) > size)

    def counts(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.counts`."""
        none = pl.DataFrame(schema={"minute": frame.INSTANT, "readings": pl.Int64})
        return pl.concat([none, *(each.as_frame() for each in self._count_stretches(window))])

    def frames(self, window: Window, *, about: int = FRAME_READINGS) -> Iterator[pl.DataFrame]:
        """See :meth:`Snapshot.frames`; each holds ``about`` so many readings."""
        counts = self.counts(window)
        stretches = (counts["readings"].cum_sum() - 1) // about
        for stretch in counts.with_columns(stretches.alias("stretch")).partition_by(
            "stretch", maintain_order=True
        ):
            readings = frame.in_order(
                collected(self._scan(window, stretch["minute"][0], stretch["minute"][-1]))
            )
            if len(readings):
                yield readings

    def days(self) -> pl.DataFrame:
        """See :meth:`Snapshot.days`."""
        day = pl.col("time").dt.date().alias("day")
        summary = {
            "earliest": pl.col("time").min(),
            "latest": pl.col("time").max(),
            "readings": pl.len().cast(pl.Int64),
            "intervals": pl.col("time").n_unique().cast(pl.Int64),
            "meters": pl.col("device_id").n_unique().cast(pl.Int64),
        }
        named = [expression.alias(name) for name, expression in summary.items()]
        return collected(self._everything().group_by(day).agg(named).sort("day"))

    def meters(self) -> int:
        """See :meth:`Snapshot.meters`."""
        meters = self._everything().select(pl.col("device_id").n_unique())
        return int(collected(meters).item())

    def _everything(self) -> pl.LazyFrame:
        return pl.scan_parquet(self._files.paths) if self._files.paths else frame.empty().lazy()

    @cached_property
    def _minutes(self) -> Minutes:
        return Minutes(self._file_counts.of(self._files.paths))

    def _count_stretches(self, window: Window) -> Iterator[Counts]:
        """The window's counts by minute, in stretches without empty ones.

        A minute that lies in the window whole is counted already. The others are counted by
        reading them, first a few and then ever more, as most callers stop early.
        """
        minutes = self._minutes.overlapping(window)
        start, length = 0, len(minutes) if minutes.whole.all() else _FEW_DOZEN_MINUTES
        while start < len(minutes):
            counts = self._counted(window, minutes[start : start + length])
            if len(counts):
                yield counts
            start, length = start + length, length * 2

    def _counted(self, window: Window, minutes: Counts) -> Counts:
        if minutes.whole.all():
            return minutes
        partial = np.flatnonzero(~minutes.whole)
        first, last = partial[0], partial[-1]
        instants = instant_of(minutes.minute[first]), instant_of(minutes.minute[last])
        read = collected(
            self._scan(window, *instants)
            .group_by(minute_of_time().alias("minute"))
            .agg(pl.len().cast(pl.Int64).alias("readings"))
            .sort("minute")
        )
        return minutes.with_counted(first, last + 1, read)

    def _rows_up_to(self, window: Window, position: Position) -> int:
        """How many of the window's readings come first, if it begins no earlier than the position's time."""
        minute = self._minutes.overlapping(window)[:1]
        if not len(minute):
            return 0
        readings = self._readings(window, minute)
        times, device_ids = readings["time"], readings["device_id"]
        return bisect_right(
            range(len(readings)),
            (position.time, position.device_id),
            key=lambda row: (times[row], device_ids[row]),
        )

    def _readings(self, window: Window, minutes: Counts) -> pl.DataFrame:
        """The window's readings in some minutes; few whole ones are kept decoded for the next page."""
        instants = [instant_of(minute) for minute in minutes.minute]
        if window.device_ids or len(instants) > _FEW_MINUTES:
            return frame.in_order(collected(self._scan(window, instants[0], instants[-1])))
        readings = pl.concat([decoded(self._rows(minute, minute)) for minute in instants])
        return readings if minutes.whole.all() else readings.filter(window.predicate())

    def _scan(self, window: Window, first: datetime, last: datetime) -> pl.LazyFrame:
        """The window's readings in the minutes from ``first`` to ``last``, in no order."""
        # Of a few meters' readings a search decodes less than all that lies between.
        rows = self._rows(first, last, search=bool(window.device_ids))
        return rows.scan().filter(window.predicate())

    def _rows(self, first: datetime, last: datetime, *, search: bool = False) -> Rows:
        """Where the readings of the minutes from ``first`` to ``last`` lie."""
        end = last + _LAST_MICROSECOND
        runs = None if search else self._minutes.runs(first, last)
        return Rows(self._files.spanning(first, end), first, end, runs)
