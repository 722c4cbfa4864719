"""A table of Timestream, read by queries that are bounded in time and scan no more than the minutes they return."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl

from readings import frame
from readings.repositories.base import HOURS_SCHEMA, LOADS_SCHEMA
from readings.repositories.minute_index import (
    COUNTS_SCHEMA,
    LAST_MICROSECOND,
    Counts,
    MinuteTotals,
    instant_of,
)
from readings.repositories.page_finder import SnapshotByMinute
from readings.repositories.timestream.hours import HOUR, HourCounts, hour_of
from readings.repositories.timestream.queries import Queries
from readings.repositories.timestream.sql import READ, Statements
from readings.window import Position, Window

TABLE = "table"
"""The name of every snapshot that is the table as it stands: the service keeps no versions."""
AHEAD = timedelta(minutes=15)
"""How far in the future the service takes readings."""
_READ_SCHEMA = {name: frame.SCHEMA[name] for name in READ}
_DAYS_SCHEMA = {
    "day": frame.INSTANT,
    "earliest": frame.INSTANT,
    "latest": frame.INSTANT,
    "readings": pl.Int64(),
    "intervals": pl.Int64(),
    "meters": pl.Int64(),
}
_LONGEST_STRETCH = 7 * 24 * HOUR


class TimestreamSnapshot(SnapshotByMinute):
    """The table as it stands. What is written later shows; ``as_of`` freezes a window against late arrivals."""

    name = TABLE

    def __init__(
        self,
        statements: Statements,
        queries: Queries,
        hours: HourCounts,
        oldest: datetime,
        *,
        blank: bool,
    ) -> None:
        """``oldest`` is how far back the table keeps anything; nothing was ever written to a ``blank`` one."""
        self._statements = statements
        self._queries = queries
        self._hours = hours
        self._oldest = oldest
        self._blank = blank

    def frames(self, window: Window, *, about: int | None = None) -> Iterator[pl.DataFrame]:
        """See :meth:`Snapshot.frames`. The window is counted anew first, so that nothing of it is missed."""
        self._hours.forget(window.start, window.end)
        yield from super().frames(window) if about is None else super().frames(window, about=about)

    def loads(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.loads`."""
        if self._blank:
            return pl.DataFrame(schema=LOADS_SCHEMA)
        return self._queries.frame(self._statements.loads(window), LOADS_SCHEMA)

    def hours(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.hours`."""
        if self._blank:
            return pl.DataFrame(schema=HOURS_SCHEMA)
        return self._queries.frame(self._statements.hours(window), HOURS_SCHEMA)

    def days(self) -> pl.DataFrame:
        """See :meth:`Snapshot.days`. Reads every reading's time and device id."""
        if self._blank:
            days = pl.DataFrame(schema=_DAYS_SCHEMA)
        else:
            days = self._queries.frame(self._statements.days(), _DAYS_SCHEMA)
        return days.with_columns(pl.col("day").dt.date())

    def meters(self) -> int:
        """See :meth:`Snapshot.meters`. Reads every reading's device id."""
        if self._blank:
            return 0
        meters = self._queries.frame(self._statements.meters(), {"meters": pl.Int64()})
        return int(meters.item())

    def _totals(self, window: Window) -> Iterator[MinuteTotals]:
        if self._blank:
            return
        now = datetime.now(UTC)
        start = hour_of(max(window.start, self._oldest))
        end = min(window.end or now + AHEAD, now + AHEAD)
        length = HOUR
        while start <= end:
            stop = min(start + length, hour_of(end) + HOUR)
            totals = self._hours.totals(start, stop)
            yield totals
            # Nothing costs nothing: a long gap is crossed in ever longer steps.
            length = min(2 * length, _LONGEST_STRETCH) if len(totals) else 2 * length
            start = stop

    def _counted(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        part = _within(window, first, last + LAST_MICROSECOND)
        return self._queries.frame(self._statements.counts(part), COUNTS_SCHEMA)

    def _rows(self, window: Window, minutes: Counts, skip: int, wanted: int) -> pl.DataFrame:
        part = _spanned(window, minutes)
        if skip:
            rows = self._read(self._statements.numbered(part, skip=skip, wanted=wanted))
        else:
            rows = self._read(self._statements.readings(part, limit=wanted))
        if len(rows) < min(wanted, int(minutes.readings.sum()) - skip):
            # Something was deleted or counted wrong; the next page is right again.
            self._hours.forget(part.start, part.end)
        return rows

    def _page_behind(self, window: Window, after: Position, wanted: int) -> pl.DataFrame:
        window = replace(window, start=max(window.start, after.time))
        found: list[pl.DataFrame] = []
        for counts in self._count_stretches(window):
            start = 0
            while start < len(counts) and wanted:
                # How many of the first minute's come before the position is not known: it counts for nothing.
                ends = counts.readings[start + 1 :].cumsum()
                last = start + 1 + int(ends.searchsorted(wanted))
                part = _spanned(window, counts[start : last + 1])
                rows = self._read(
                    self._statements.readings_behind(part, after, limit=wanted)
                    if part.start == after.time
                    else self._statements.readings(part, limit=wanted)
                )
                found.append(rows)
                wanted -= len(rows)
                start = last + 1
            if not wanted:
                break
        return pl.concat(found) if found else frame.empty()

    def _stretch(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        part = _within(window, first, last + LAST_MICROSECOND)
        return self._read(self._statements.readings(part))

    def _read(self, sql: str) -> pl.DataFrame:
        return with_measure_name(self._queries.frame(sql, _READ_SCHEMA))


def with_measure_name(readings: pl.DataFrame) -> pl.DataFrame:
    """Readings as they are read, without the measure name they were asked for by, as a readings frame."""
    return readings.with_columns(pl.lit(frame.MEASURE_NAME).alias("measure_name")).select(
        pl.col(name).cast(kind) for name, kind in frame.SCHEMA.items()
    )


def _spanned(window: Window, minutes: Counts) -> Window:
    first, last = instant_of(minutes.minute[0]), instant_of(minutes.minute[-1])
    return _within(window, first, last + LAST_MICROSECOND)


def _within(window: Window, start: datetime, end: datetime) -> Window:
    return replace(
        window,
        start=max(window.start, start),
        end=end if window.end is None else min(window.end, end),
    )
