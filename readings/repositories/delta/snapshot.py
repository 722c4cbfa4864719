"""One version of a Delta table, read without ever numbering rows that are not returned."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from threading import Lock

import polars as pl
from cachetools import LRUCache, cached

from readings import frame
from readings.repositories.base import LOADS_SCHEMA
from readings.repositories.delta.data_files import DataFiles, Rows, collected
from readings.repositories.delta.day_cache import KeptByDay, settled
from readings.repositories.delta.meter_hours import (
    means,
    read,
    summed_up,
    sums_by,
    within,
    without,
)
from readings.repositories.delta.minute_counts import MinuteCounts, Minutes, minute_of_time
from readings.repositories.minute_index import LAST_MICROSECOND, Counts, MinuteTotals, instant_of
from readings.repositories.page_finder import SnapshotByMinute
from readings.window import Position, Window, window_of_day

DECODED_BYTES = 256 * 2**20
"""How much memory a process spends on minutes it has decoded."""
_FEW_MINUTES = 4
DAYS_AT_ONCE = 30
READINGS_AT_ONCE = 1_000_000


@cached(LRUCache(DECODED_BYTES, pl.DataFrame.estimated_size), lock=Lock())
def decoded(rows: Rows) -> pl.DataFrame:
    """Readings in order. Data files never change, so what was decoded of them stays true."""
    return frame.in_order(collected(rows.scan()))


class DeltaSnapshot(SnapshotByMinute):
    """A version of the table; the version's number is its name."""

    def __init__(
        self, version: int, files: DataFiles, counts: MinuteCounts, hours: KeptByDay
    ) -> None:
        self.name = str(version)
        self._files = files
        self._file_counts = counts
        self._kept_hours = hours

    def loads(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.loads`."""
        counts = self.counts(window)
        if counts.is_empty():
            return pl.DataFrame(schema=LOADS_SCHEMA)
        loads = {
            "readings": pl.len().cast(pl.Int64),
            "late": (pl.col("arrival_time") > pl.col("time")).sum().cast(pl.Int64),
            "kw": pl.col("kw").sum(),
        }
        named = [expression.alias(name) for name, expression in loads.items()]
        minute = minute_of_time().alias("minute")
        scan = self._scan(window, counts["minute"][0], counts["minute"][-1])
        return collected(scan.group_by(minute).agg(named).sort("minute"))

    def hours(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.hours`."""
        kept = self._kept_hours.of(self._files.by_day)
        days = within(window, kept)
        sums = [read([kept[day] for day in days], window.device_ids)] if days else []
        sums += [sums_by([], self._searched(rest)) for rest in without(window, days)]
        return means(collected(pl.concat(sums)))

    def keep_counts(self, now: datetime) -> int:
        """Keep the counts of days that have settled, for processes to come; says of how many that is new."""
        days = settled(self._files.by_day, now)
        return self._file_counts.keep({day: self._files.by_day[day] for day in days})

    def keep_hours(self, now: datetime) -> int:
        """Sum up the hours of days that have settled; says how many.

        Newest first, and :data:`DAYS_AT_ONCE` at most, so that other upkeep has its turn.
        """
        kept = self._kept_hours.of(self._files.by_day)
        wanted = [day for day in settled(self._files.by_day, now) if day not in kept]
        for day in wanted[:DAYS_AT_ONCE]:
            readings = self.frames(window_of_day(day), about=READINGS_AT_ONCE)
            self._kept_hours.keep(day, self._files.by_day[day], summed_up(readings))
        return len(wanted[:DAYS_AT_ONCE])

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

    def _searched(self, window: Window) -> pl.LazyFrame:
        # Files alone bound the search: to count a meter's readings first would be to read them twice.
        end = window.end or datetime.max.replace(tzinfo=UTC)
        rows = Rows(self._files.spanning(window.start, end), window.start, end, None)
        return rows.scan().filter(window.predicate())

    def _everything(self) -> pl.LazyFrame:
        return pl.scan_parquet(self._files.paths) if self._files.paths else frame.empty().lazy()

    @cached_property
    def _minutes(self) -> Minutes:
        return Minutes(self._file_counts.of(self._files.by_day))

    def _totals(self, window: Window) -> Iterable[MinuteTotals]:
        return [self._minutes]

    def _counted(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        return collected(
            self._scan(window, first, last)
            .group_by(minute_of_time().alias("minute"))
            .agg(pl.len().cast(pl.Int64).alias("readings"))
            .sort("minute")
        )

    def _rows(self, window: Window, minutes: Counts, skip: int, wanted: int) -> pl.DataFrame:
        return self._readings(window, minutes).slice(skip, wanted)

    def _page_behind(self, window: Window, after: Position, wanted: int) -> pl.DataFrame:
        # Rows before that minute are not even counted.
        window = replace(window, start=max(window.start, after.time))
        return self._page(window, self._rows_up_to(window, after), wanted)

    def _stretch(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        return frame.in_order(collected(self._scan(window, first, last)))

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
            return self._stretch(window, instants[0], instants[-1])
        readings = pl.concat([decoded(self._places(minute, minute)) for minute in instants])
        return readings if minutes.whole.all() else readings.filter(window.predicate())

    def _scan(self, window: Window, first: datetime, last: datetime) -> pl.LazyFrame:
        """The window's readings in the minutes from ``first`` to ``last``, in no order."""
        # Of a few meters' readings a search decodes less than all that lies between.
        rows = self._places(first, last, search=bool(window.device_ids))
        return rows.scan().filter(window.predicate())

    def _places(self, first: datetime, last: datetime, *, search: bool = False) -> Rows:
        """Where the readings of the minutes from ``first`` to ``last`` lie."""
        end = last + LAST_MICROSECOND
        runs = None if search else self._minutes.runs(first, last)
        return Rows(self._files.spanning(first, end), first, end, runs)
