"""Reads minutes of a Timestream table, for the page finder.

Every query is bounded in time and scans only the minutes that it returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl

from readings import frame
from readings.repositories.chunks import Chunk
from readings.repositories.minute_index import (
    MINUTE_COUNTS_SCHEMA,
    MinuteCounts,
    MinuteIndex,
    clip,
)
from readings.repositories.timestream.hour_counts import HOUR, HourCounts, hour_of
from readings.repositories.timestream.queries import Queries
from readings.repositories.timestream.sql import READ_COLUMNS, Statements
from readings.window import Position, Window

MAX_FUTURE = timedelta(minutes=15)
"""The service refuses readings that are further in the future."""
_READ_SCHEMA = {name: frame.SCHEMA[name] for name in READ_COLUMNS}
_MAX_HOURS_COUNTED = 7 * 24 * HOUR


class TimestreamMinuteReader:
    """The :class:`~readings.repositories.page_finder.PositionReader` of one table."""

    def __init__(
        self, statements: Statements, queries: Queries, hours: HourCounts, oldest: datetime
    ) -> None:
        """``oldest`` is the time before which the table keeps no readings."""
        self._statements = statements
        self._queries = queries
        self._hours = hours
        self._oldest = oldest

    def indexes(self, window: Window) -> Iterator[MinuteIndex]:
        """See :meth:`MinuteReader.indexes`. Yields spans of hours that grow up to a week."""
        now = datetime.now(UTC)
        start = hour_of(max(window.start, self._oldest))
        end = min(window.end or now + MAX_FUTURE, now + MAX_FUTURE)
        length = HOUR
        while start <= end:
            stop = min(start + length, hour_of(end) + HOUR)
            index = self._hours.index(start, stop)
            yield index
            # Counting an empty span scans nothing, so a long gap is crossed in steps without a limit.
            length = min(2 * length, _MAX_HOURS_COUNTED) if len(index) else 2 * length
            start = stop

    def count(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """See :meth:`MinuteReader.count`."""
        part = clip(window, first, last)
        return self._queries.frame(self._statements.minute_counts(part), MINUTE_COUNTS_SCHEMA)

    def read(self, window: Window, minutes: MinuteCounts, *, skip: int, limit: int) -> pl.DataFrame:
        """See :meth:`MinuteReader.read`."""
        part = clip(window, minutes.first_minute, minutes.last_minute)
        if skip:
            rows = self._read(self._statements.readings_by_row_number(part, skip=skip, limit=limit))
        else:
            rows = self._read(self._statements.readings(part, limit=limit))
        if len(rows) < min(limit, int(minutes.readings.sum()) - skip):
            # Readings were deleted, or the counts were wrong. New counts make the next page right.
            self._hours.forget(part.start, part.end)
        return rows

    def read_chunk(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """See :meth:`MinuteReader.read_chunk`."""
        part = clip(window, chunk.first_minute, chunk.last_minute)
        return self._read(self._statements.readings(part))

    def read_after(
        self, window: Window, minutes: MinuteCounts, position: Position, *, limit: int
    ) -> pl.DataFrame:
        """See :meth:`PositionReader.read_after`."""
        part = clip(window, minutes.first_minute, minutes.last_minute)
        if part.start == position.time:
            return self._read(self._statements.readings_after(part, position, limit=limit))
        return self._read(self._statements.readings(part, limit=limit))

    def _read(self, sql: str) -> pl.DataFrame:
        return with_measure_name(self._queries.frame(sql, _READ_SCHEMA))


def with_measure_name(readings: pl.DataFrame) -> pl.DataFrame:
    """Return a readings frame. Queries select readings by their measure name and do not return it."""
    return readings.with_columns(pl.lit(frame.MEASURE_NAME).alias("measure_name")).select(
        pl.col(name).cast(kind) for name, kind in frame.SCHEMA.items()
    )
