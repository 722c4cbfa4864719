"""Reads minutes of a Timestream table, for the page finder.

Every query is bounded in time and scans only the minutes that it returns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from readings.repositories.timestream.sql import STORED_SCHEMA, Statements
from readings.window import Position, Window

MAX_FUTURE = timedelta(minutes=15)
"""The service refuses readings that are further in the future."""
_MAX_HOURS_COUNTED = 7 * 24 * HOUR


class TimestreamMinuteReader:
    """The :class:`~readings.repositories.page_finder.PositionReader` of one table."""

    def __init__(
        self,
        statements: Statements,
        queries: Queries,
        hours: HourCounts,
        oldest: datetime,
        columns: Sequence[str] = frame.COLUMNS,
    ) -> None:
        """``oldest`` is the time before which the table keeps no readings. ``columns`` are those that it returns."""
        self.columns = columns
        self._stored = [name for name in columns if name in STORED_SCHEMA] or ["time"]
        self._statements = statements
        self._queries = queries
        self._hours = hours
        self._oldest = oldest

    def with_columns(self, columns: Sequence[str]) -> TimestreamMinuteReader:
        """Return a reader of the same table that returns these columns."""
        return TimestreamMinuteReader(
            self._statements, self._queries, self._hours, self._oldest, columns
        )

    def indexes(self, window: Window) -> Iterator[MinuteIndex]:
        """See :meth:`MinuteReader.indexes`. Yields spans of hours that grow up to a week."""
        return map(MinuteIndex, self.counted_minutes(window))

    def counted_minutes(self, window: Window) -> Iterator[pl.DataFrame]:
        """Yield the minutes of spans of hours, with the columns of ``COUNTED_SCHEMA``."""
        now = datetime.now(UTC)
        start = hour_of(max(window.start, self._oldest))
        end = min(window.end or now + MAX_FUTURE, now + MAX_FUTURE)
        length = HOUR
        while start <= end:
            stop = min(start + length, hour_of(end) + HOUR)
            minutes = self._hours.minutes(start, stop)
            yield minutes
            # Counting an empty span scans nothing, so a long gap is crossed in steps without a limit.
            length = min(2 * length, _MAX_HOURS_COUNTED) if len(minutes) else 2 * length
            start = stop

    def count(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """See :meth:`MinuteReader.count`."""
        part = clip(window, first, last)
        return self._queries.frame(self._statements.minute_counts(part), MINUTE_COUNTS_SCHEMA)

    def read(self, window: Window, minutes: MinuteCounts, *, skip: int, limit: int) -> pl.DataFrame:
        """See :meth:`MinuteReader.read`."""
        part = clip(window, minutes.first_minute, minutes.last_minute)
        if skip:
            rows = self._read(
                self._statements.readings_by_row_number(self._stored, part, skip=skip, limit=limit)
            )
        else:
            rows = self._read(self._statements.readings(self._stored, part, limit=limit))
        if len(rows) < min(limit, int(minutes.readings.sum()) - skip):
            # Readings were deleted, or the counts were wrong. New counts make the next page right.
            self._hours.forget(part.start, part.end)
        return rows

    def read_chunk(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """See :meth:`MinuteReader.read_chunk`."""
        part = clip(window, chunk.first_minute, chunk.last_minute)
        return self._read(self._statements.readings(self._stored, part))

    def read_after(
        self, window: Window, minutes: MinuteCounts, position: Position, *, limit: int
    ) -> pl.DataFrame:
        """See :meth:`PositionReader.read_after`."""
        part = clip(window, minutes.first_minute, minutes.last_minute)
        if part.start == position.time:
            return self._read(
                self._statements.readings_after(self._stored, part, position, limit=limit)
            )
        return self._read(self._statements.readings(self._stored, part, limit=limit))

    def _read(self, sql: str) -> pl.DataFrame:
        schema = {name: STORED_SCHEMA[name] for name in self._stored}
        return with_measure_name(self._queries.frame(sql, schema), self.columns)


def with_measure_name(readings: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return these columns. Queries select readings by their measure name and do not return it."""
    return readings.with_columns(pl.lit(frame.MEASURE_NAME).alias("measure_name")).select(
        pl.col(name).cast(frame.FULL_SCHEMA[name]) for name in columns
    )
