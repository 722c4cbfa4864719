"""The current state of a Timestream table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from readings import frame
from readings.instants import EARLIEST_INSTANT, LAST_INSTANT
from readings.repositories.base import (
    HOURLY_MEANS_SCHEMA,
    INTERVAL_TOTALS_SCHEMA,
    METER_SUMMARIES_SCHEMA,
    Snapshot,
)
from readings.repositories.minute_index import MINUTE_COUNTS_SCHEMA
from readings.repositories.page import Page
from readings.repositories.page_finder import PageFinder
from readings.repositories.timestream.hour_counts import COUNTED_SCHEMA, HourCounts
from readings.repositories.timestream.minute_reader import TimestreamMinuteReader
from readings.repositories.timestream.queries import Queries
from readings.repositories.timestream.sql import Statements
from readings.window import Position, Window

CURRENT = "table"
"""The name of every snapshot: the service keeps no versions, so there is only the current state."""
_LAST_TIMES_SCHEMA = {"device_id": pl.String(), "last": frame.INSTANT}
_DAY_SUMMARIES_SCHEMA = {
    "day": frame.INSTANT,
    "earliest": frame.INSTANT,
    "latest": frame.INSTANT,
    "readings": pl.Int64(),
    "intervals": pl.Int64(),
    "meters": pl.Int64(),
}


class TimestreamSnapshot(Snapshot):
    """The current state of a table. Later writes become visible in it.

    ``as_of`` in a window excludes readings that arrive later.
    """

    name = CURRENT

    def __init__(
        self,
        statements: Statements,
        queries: Queries,
        hours: HourCounts,
        reader: TimestreamMinuteReader,
    ) -> None:
        self._statements = statements
        self._queries = queries
        self._hours = hours
        self._reader = reader
        self._finder = PageFinder(reader)

    def page(
        self,
        window: Window,
        *,
        offset: int,
        size: int,
        after: Position | None = None,
        columns: Sequence[str] = frame.COLUMNS,
    ) -> Page:
        """See :meth:`Snapshot.page`."""
        if window.arrived_after is not None:
            # Such pages must not miss a late reading, so cached counts are not good enough.
            self._hours.forget(window.start, window.end)
        reader = self._reader.with_columns(columns)
        finder = PageFinder(reader)
        if after is None:
            return finder.page(window, offset=offset, size=size)
        return finder.page_after(window, after, size=size, reader=reader)

    def minute_counts(self, window: Window) -> pl.DataFrame:
        """See :meth:`Extract.minute_counts`."""
        return self._finder.minute_counts(window)

    def frames(
        self, window: Window, *, columns: Sequence[str] = frame.COLUMNS
    ) -> Iterator[pl.DataFrame]:
        """See :meth:`Extract.frames`. The window is counted again first, so that no reading is missed."""
        self._hours.forget(window.start, window.end)
        yield from PageFinder(self._reader.with_columns(columns)).frames(window)

    def versions(self, window: Window) -> Iterator[pl.DataFrame]:
        """See :meth:`Snapshot.versions`. The service keeps only the newest one."""
        return self.frames(window, columns=frame.FULL_COLUMNS)

    def minute_revisions(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.minute_revisions`. Like counts, revisions are cached."""
        start = frame.literal(window.start)
        end = frame.literal(LAST_INSTANT if window.end is None else window.end)
        counted = [pl.DataFrame(schema=COUNTED_SCHEMA), *self._reader.counted_minutes(window)]
        minutes = pl.concat(counted).filter(pl.col("last") >= start, pl.col("first") <= end)
        revisions = minutes.select(*MINUTE_COUNTS_SCHEMA, "revision")
        if minutes.filter((pl.col("first") < start) | (pl.col("last") > end)).is_empty():
            return revisions
        # The window starts or ends between the readings of a minute.
        counts = self.minute_counts(window)
        revision = pl.col("revision").fill_null(0)
        return counts.join(revisions.drop("readings"), on="minute", how="left").with_columns(
            revision
        )

    def interval_totals(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.interval_totals`."""
        return self._queries.frame(self._statements.interval_totals(window), INTERVAL_TOTALS_SCHEMA)

    def hourly_means(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.hourly_means`."""
        return self._queries.frame(self._statements.hourly_means(window), HOURLY_MEANS_SCHEMA)

    def last_times(self, window: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.last_times`."""
        return self._queries.frame(self._statements.last_times(window), _LAST_TIMES_SCHEMA)

    def reading_times(self, *windows: Window) -> pl.DataFrame:
        """See :meth:`Snapshot.reading_times`. The readings are not counted first."""
        schema = {name: frame.SCHEMA[name] for name in frame.ORDER}
        return self._queries.frame(self._statements.keys(frame.ORDER, *windows), schema)

    def meter_summaries(self, device_ids: Sequence[str]) -> pl.DataFrame:
        """See :meth:`Snapshot.meter_summaries`."""
        window = Window(EARLIEST_INSTANT, device_ids=tuple(device_ids))
        return self._queries.frame(self._statements.meter_summaries(window), METER_SUMMARIES_SCHEMA)

    def day_summaries(self) -> pl.DataFrame:
        """See :meth:`Snapshot.day_summaries`. Scans the time and device id of every reading."""
        days = self._queries.frame(self._statements.day_summaries(), _DAY_SUMMARIES_SCHEMA)
        return days.with_columns(pl.col("day").dt.date())

    def meter_count(self) -> int:
        """See :meth:`Snapshot.meter_count`. Scans the device id of every reading."""
        meters = self._queries.frame(self._statements.meter_count(), {"meters": pl.Int64()})
        return int(meters.item())


class EmptySnapshot(Snapshot):
    """The snapshot of a table that was never written to.

    Such a table has no columns yet, so every query of it would be refused.
    """

    name = CURRENT

    def page(
        self,
        window: Window,
        *,
        offset: int,
        size: int,
        after: Position | None = None,
        columns: Sequence[str] = frame.COLUMNS,
    ) -> Page:
        """Return an empty page."""
        return Page(frame.empty(columns), more=False)

    def minute_counts(self, window: Window) -> pl.DataFrame:
        """Return no rows."""
        return pl.DataFrame(schema=MINUTE_COUNTS_SCHEMA)

    def frames(
        self, window: Window, *, columns: Sequence[str] = frame.COLUMNS
    ) -> Iterator[pl.DataFrame]:
        """Yield nothing."""
        yield from ()

    def versions(self, window: Window) -> Iterator[pl.DataFrame]:
        """Yield nothing."""
        yield from ()

    def minute_revisions(self, window: Window) -> pl.DataFrame:
        """Return no rows."""
        return pl.DataFrame(schema=MINUTE_COUNTS_SCHEMA | {"revision": pl.Int64()})

    def interval_totals(self, window: Window) -> pl.DataFrame:
        """Return no rows."""
        return pl.DataFrame(schema=INTERVAL_TOTALS_SCHEMA)

    def hourly_means(self, window: Window) -> pl.DataFrame:
        """Return no rows."""
        return pl.DataFrame(schema=HOURLY_MEANS_SCHEMA)

    def last_times(self, window: Window) -> pl.DataFrame:
        """Return no rows."""
        return pl.DataFrame(schema=_LAST_TIMES_SCHEMA)

    def day_summaries(self) -> pl.DataFrame:
        """Return no rows."""
        days = pl.DataFrame(schema=_DAY_SUMMARIES_SCHEMA)
        return days.with_columns(pl.col("day").dt.date())

    def meter_count(self) -> int:
        """Return 0."""
        return 0
