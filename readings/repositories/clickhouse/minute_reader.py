"""Reads minutes of the table, for the page finder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import polars as pl

from readings import frame
from readings.instants import to_micros
from readings.repositories.chunks import Chunk
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.counts import DayResults, DayState, TableState
from readings.repositories.clickhouse.query import Query
from readings.repositories.clickhouse.rows import (
    VERSION_SCHEMA,
    PageCache,
    valid_rows,
    with_measure_name,
)
from readings.repositories.clickhouse.sql import STORED_SCHEMA, Statements
from readings.repositories.minute_index import (
    LAST_MICROSECOND,
    MINUTE_COUNTS_SCHEMA,
    MINUTE_INDEX_SCHEMA,
    MinuteCounts,
    MinuteIndex,
    as_int_array,
    clip,
)
from readings.window import Position, Window

_CORRECTIONS = {"corrections": pl.Int64()}
COUNTED_SCHEMA = MINUTE_INDEX_SCHEMA | _CORRECTIONS
"""The columns of :meth:`Statements.minute_index`."""
COUNTED_VERSIONS_SCHEMA = MINUTE_COUNTS_SCHEMA | _CORRECTIONS
"""The columns of :meth:`Statements.count_versions`."""
_LAST_MICROS = LAST_MICROSECOND // timedelta(microseconds=1)


class DayMinutes:
    """The minutes of one day: their index, and how many corrections each has."""

    def __init__(self, minutes: pl.DataFrame) -> None:
        """``minutes`` has the columns of :data:`COUNTED_SCHEMA`, ascending."""
        self.index = MinuteIndex(minutes)
        self.corrections = minutes.select("minute", "corrections").filter(pl.col("corrections") > 0)
        self._corrected = as_int_array(self.corrections["minute"])

    def has_corrections(self, window: Window) -> bool:
        """Return whether a minute of the window has corrections."""
        end = None
        if window.end is not None:
            end = self._corrected.searchsorted(to_micros(window.end), side="right")
        first = self._corrected.searchsorted(to_micros(window.start) - _LAST_MICROS)
        return bool(len(self._corrected[first:end]))


class ClickHouseMinuteReader:
    """The :class:`~readings.repositories.page_finder.PositionReader` of one state of the table."""

    def __init__(
        self,
        statements: Statements,
        client: Client,
        state: TableState,
        minutes: DayResults[DayMinutes],
        pages: PageCache,
        columns: Sequence[str] = frame.COLUMNS,
    ) -> None:
        """``columns`` are those of the readings that it returns."""
        self.columns = columns
        self._stored = stored_columns(columns)
        self._statements = statements
        self._client = client
        self._state = state
        self._minutes = minutes
        self._pages = pages

    def with_columns(self, columns: Sequence[str]) -> ClickHouseMinuteReader:
        """Return a reader of the same state that returns these columns."""
        return ClickHouseMinuteReader(
            self._statements, self._client, self._state, self._minutes, self._pages, columns
        )

    def has_corrections(self, window: Window) -> bool:
        """Return whether a minute of the window has corrections. Its days are counted if they are not yet."""
        return any(day.has_corrections(window) for day in self._days(window))

    def meters_have_corrections(self, window: Window) -> bool:
        """Return whether readings of the window's meters may have corrections. Counting whole days takes too long."""
        days = [self._minutes.known(*day) for day in self._states(window)]
        if all(day is not None and not day.has_corrections(window) for day in days):
            return False
        found = self._client.frame(self._statements.corrections(window), {"found": pl.Int64()})
        return not found.is_empty()

    def corrections(self, window: Window) -> pl.DataFrame:
        """Return the minutes that have corrections, and how many: columns ``minute`` and ``corrections``."""
        none = pl.DataFrame(schema={"minute": frame.INSTANT, **_CORRECTIONS})
        return pl.concat([none, *(day.corrections for day in self._days(window))])

    def indexes(self, window: Window) -> Iterator[MinuteIndex]:
        """See :meth:`MinuteReader.indexes`. Yields one day at a time."""
        for day in self._days(window):
            yield day.index

    def _days(self, window: Window) -> Iterator[DayMinutes]:
        for day, state in self._states(window):
            yield self._minutes.get(day, state)

    def _states(self, window: Window) -> Iterator[tuple[date, DayState]]:
        last = date.max if window.end is None else window.end.date()
        return self._state.between(window.start.date(), last)

    def count(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """See :meth:`MinuteReader.count`."""
        counts = count_readings(self._client, self._statements, clip(window, first, last))
        return counts.select(*MINUTE_COUNTS_SCHEMA)

    def read(self, window: Window, minutes: MinuteCounts, *, skip: int, limit: int) -> pl.DataFrame:
        """See :meth:`MinuteReader.read`."""
        part = clip(window, minutes.first_minute, minutes.last_minute)
        corrected = self.has_corrections(part)
        return self._read_page(
            part,
            self._statements.readings(
                self._stored, part, corrected=corrected, skip=skip, limit=limit
            ),
        )

    def read_chunk(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """See :meth:`MinuteReader.read_chunk`."""
        part = clip(window, chunk.first_minute, chunk.last_minute)
        corrected = self.has_corrections(part)
        query = self._statements.readings(self._stored, part, corrected=corrected)
        return read(self._client, query, self.columns)

    def read_after(
        self, window: Window, minutes: MinuteCounts, position: Position, *, limit: int
    ) -> pl.DataFrame:
        """See :meth:`PositionReader.read_after`."""
        part = clip(window, minutes.first_minute, minutes.last_minute)
        corrected = self.has_corrections(part)
        query = self._statements.readings(self._stored, part, corrected=corrected, limit=limit)
        if part.start == position.time:
            query = self._statements.readings_after(
                self._stored, part, position, corrected=corrected, limit=limit
            )
        return self._read_page(part, query)

    def read_meters(
        self, window: Window, *, skip: int, limit: int, after: Position | None
    ) -> pl.DataFrame:
        """Return at most ``limit`` readings of the window in order, after the first ``skip`` or after a position.

        They are not counted first: counting the readings of some meters takes as long as reading them.
        """
        if after is not None and after.time >= window.start:
            return self._read_in_order(window, after, limit)
        if skip == 0 or after is not None:
            return self._read_in_order(window, None, limit)
        corrected = self.meters_have_corrections(window)
        query = self._statements.readings(
            self._stored, window, corrected=corrected, skip=skip, limit=limit
        )
        return self._read_page(window, query)

    def _read_in_order(self, window: Window, after: Position | None, limit: int) -> pl.DataFrame:
        """Return the first ``limit`` readings of the window, after a position if one is given.

        Whether these readings have corrections is not known, and most have none. So the rows are read as if there were
        none. If some rows are versions of the same reading, more rows are read after the last complete reading.
        """
        columns = list(dict.fromkeys([*self._stored, *VERSION_SCHEMA]))
        found = [frame.empty(self._stored)]
        extra_rows = 0
        while limit:
            rows_limit = limit + 1 + extra_rows
            if after is None:
                query = self._statements.readings(
                    columns, window, corrected=False, limit=rows_limit
                )
            else:
                window = replace(window, start=after.time)
                query = self._statements.readings_after(
                    columns, window, after, corrected=False, limit=rows_limit
                )
            rows = self._cached(window, query, STORED_SCHEMA | VERSION_SCHEMA, columns)
            readings = valid_rows(rows)
            is_last = len(rows) < rows_limit
            # If rows follow, they may be versions of the last reading.
            readings = readings.head(limit if is_last else min(limit, len(readings) - 1))
            found.append(readings.select(self._stored))
            limit -= len(readings)
            if is_last:
                break
            if len(readings):
                after = Position(*readings.select(frame.ORDER).row(-1))
            else:
                extra_rows += rows_limit
        return with_measure_name(pl.concat(found), self.columns)

    def _read_page(self, part: Window, query: Query) -> pl.DataFrame:
        rows = self._cached(part, query, STORED_SCHEMA, self._stored)
        return with_measure_name(rows, self.columns)

    def _cached(
        self, part: Window, query: Query, schema: Mapping[str, pl.DataType], columns: Sequence[str]
    ) -> pl.DataFrame:
        """Return these columns of a query, from the cache if the days of ``part`` have not changed."""
        key = (
            tuple(self._states(part)),
            query.text,
            tuple((name, str(each)) for name, each in query.parameters.items()),
        )
        rows = None if query.tables else self._pages.get(key)
        if rows is None:
            rows = self._client.frame(query, {name: schema[name] for name in columns})
            if not query.tables:
                self._pages.store(key, rows)
        return rows


def stored_columns(columns: Sequence[str]) -> list[str]:
    """Return which columns a query must return, at least one."""
    return [name for name in columns if name in STORED_SCHEMA] or ["time"]


def read(client: Client, query: Query, columns: Sequence[str]) -> pl.DataFrame:
    """Return the readings of a query of :func:`stored_columns`, with these columns."""
    return with_measure_name(client.frame(query, schema_of(columns)), columns)


def count_readings(
    client: Client, statements: Statements, window: Window, until: datetime | None = None
) -> pl.DataFrame:
    """Return the counts of the window's minutes: of the readings written up to ``until``, or of all.

    Columns of ``MINUTE_COUNTS_SCHEMA``, and ``corrections``: how many of the versions in the window are corrections.
    """
    rows = client.frame(
        statements.count_versions(window, written_until=until), COUNTED_VERSIONS_SCHEMA
    )
    corrected = rows.filter(pl.col("corrections") > 0)["minute"]
    if corrected.is_empty():
        return rows
    part = clip(window, corrected[0], corrected[-1])
    counted = client.frame(
        statements.count_readings(part, written_until=until),
        {"minute": frame.INSTANT, "counted": pl.Int64()},
    )
    exact = pl.coalesce("counted", "readings").alias("readings")
    return rows.join(counted, on="minute", how="left").with_columns(exact).drop("counted")


def schema_of(columns: Sequence[str]) -> dict[str, pl.DataType]:
    """Return the types of :func:`stored_columns`."""
    return {name: STORED_SCHEMA[name] for name in stored_columns(columns)}
