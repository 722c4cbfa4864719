"""Reads minutes of a Timestream table, for the page finder.

Every query is bounded in time and scans only the minutes that it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

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
MAX_METERS_PER_QUERY = 3_000
"""The service accepts queries of 262,144 characters. A device id has up to 64."""
Statement = Callable[[Sequence[str], Window], str]
"""Returns the query of some columns of a window's readings."""
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
        parts = parts_by_meters(clip(window, first, last))
        counts = [
            self._queries.frame(self._statements.minute_counts(part), MINUTE_COUNTS_SCHEMA)
            for part in parts
        ]
        if len(counts) == 1:
            return counts[0]
        return pl.concat(counts).group_by("minute").agg(pl.col("readings").sum()).sort("minute")

    def read(self, window: Window, minutes: MinuteCounts, *, skip: int, limit: int) -> pl.DataFrame:
        """See :meth:`MinuteReader.read`."""
        part = clip(window, minutes.first_minute, minutes.last_minute)
        if len(parts_by_meters(part)) > 1:
            rows = self._read(part, partial(self._statements.readings, limit=skip + limit))
            rows = rows.slice(skip, limit)
        elif skip:
            rows = self._read(
                part, partial(self._statements.readings_by_row_number, skip=skip, limit=limit)
            )
        else:
            rows = self._read(part, partial(self._statements.readings, limit=limit))
        if len(rows) < min(limit, int(minutes.readings.sum()) - skip):
            # Readings were deleted, or the counts were wrong. New counts make the next page right.
            self._hours.forget(part.start, part.end)
        return rows

    def read_chunk(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """See :meth:`MinuteReader.read_chunk`."""
        part = clip(window, chunk.first_minute, chunk.last_minute)
        return self._read(part, self._statements.readings)

    def read_after(
        self, window: Window, minutes: MinuteCounts, position: Position, *, limit: int
    ) -> pl.DataFrame:
        """See :meth:`PositionReader.read_after`."""
        part = clip(window, minutes.first_minute, minutes.last_minute)
        statement: Statement = partial(self._statements.readings, limit=limit)
        if part.start == position.time:
            statement = partial(self._statements.readings_after, position=position, limit=limit)
        return self._read(part, statement).head(limit)

    def _read(self, window: Window, statement: Statement) -> pl.DataFrame:
        """Return the rows of a statement for the window, in order: of several queries if it has too many meters."""
        parts = parts_by_meters(window)
        stored = self._stored
        if len(parts) > 1:
            stored = list(dict.fromkeys([*frame.ORDER, *stored]))
        schema = {name: STORED_SCHEMA[name] for name in stored}
        rows = [self._queries.frame(statement(stored, part), schema) for part in parts]
        readings = rows[0] if len(rows) == 1 else frame.in_order(pl.concat(rows))
        return with_measure_name(readings, self.columns)


def parts_by_meters(window: Window) -> list[Window]:
    """Return windows that together have the meters of this one, and few enough each for one query."""
    meters = window.device_ids
    if len(meters) <= MAX_METERS_PER_QUERY:
        return [window]
    return [
        replace(window, device_ids=meters[start : start + MAX_METERS_PER_QUERY])
        for start in range(0, len(meters), MAX_METERS_PER_QUERY)
    ]


def with_measure_name(readings: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return these columns. Queries select readings by their measure name and do not return it."""
    return readings.with_columns(pl.lit(frame.MEASURE_NAME).alias("measure_name")).select(
        pl.col(name).cast(frame.FULL_SCHEMA[name]) for name in columns
    )
