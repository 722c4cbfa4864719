"""Reads minutes of the table, for the page finder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime
from threading import Lock
from typing import Any

import polars as pl
from cachetools import LRUCache

from readings import frame
from readings.repositories.chunks import Chunk
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.counts import DayCache, TableState
from readings.repositories.clickhouse.sql import READ_COLUMNS, Query, Statements
from readings.repositories.minute_index import (
    MINUTE_COUNTS_SCHEMA,
    MinuteCounts,
    MinuteIndex,
    clip,
)
from readings.window import Position, Window

_READ_SCHEMA = {name: frame.SCHEMA[name] for name in READ_COLUMNS}
_CACHED_BYTES = 64 * 1024 * 1024


class PageCache:
    """Rows of queries, at most 64 MB. A key contains the states of the days, so rows of a changed day are not found."""

    def __init__(self) -> None:
        self._rows: LRUCache[Any, pl.DataFrame] = LRUCache(
            _CACHED_BYTES, getsizeof=lambda rows: int(rows.estimated_size()) + 1_000
        )
        self._lock = Lock()

    def get(self, key: Any) -> pl.DataFrame | None:
        """Return the rows that were stored with this key, if they are still cached."""
        with self._lock:
            return self._rows.get(key)

    def store(self, key: Any, rows: pl.DataFrame) -> None:
        """Store rows with a key. Rows of more than 32 MB are not cached."""
        with self._lock:
            if rows.estimated_size() < _CACHED_BYTES // 2:
                self._rows[key] = rows

    def clear(self) -> None:
        """Forget all rows."""
        with self._lock:
            self._rows.clear()


class ClickHouseMinuteReader:
    """The :class:`~readings.repositories.page_finder.PositionReader` of one state of the table."""

    def __init__(
        self,
        statements: Statements,
        client: Client,
        state: TableState,
        minutes: DayCache[MinuteIndex],
        pages: PageCache,
    ) -> None:
        self._statements = statements
        self._client = client
        self._state = state
        self._minutes = minutes
        self._pages = pages

    def indexes(self, window: Window) -> Iterator[MinuteIndex]:
        """See :meth:`MinuteReader.indexes`. Yields one day at a time."""
        last = date.max if window.end is None else window.end.date()
        for day, state in self._state.between(window.start.date(), last):
            yield self._minutes.get(day, state)

    def count(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """See :meth:`MinuteReader.count`."""
        query = self._statements.minute_counts(clip(window, first, last))
        return self._client.frame(query, MINUTE_COUNTS_SCHEMA)

    def read(self, window: Window, minutes: MinuteCounts, *, skip: int, limit: int) -> pl.DataFrame:
        """See :meth:`MinuteReader.read`."""
        part = clip(window, minutes.first_minute, minutes.last_minute)
        return self._read_page(part, self._statements.readings(part, skip=skip, limit=limit))

    def read_chunk(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """See :meth:`MinuteReader.read_chunk`."""
        part = clip(window, chunk.first_minute, chunk.last_minute)
        return read(self._client, self._statements.readings(part))

    def read_after(
        self, window: Window, minutes: MinuteCounts, position: Position, *, limit: int
    ) -> pl.DataFrame:
        """See :meth:`PositionReader.read_after`."""
        part = clip(window, minutes.first_minute, minutes.last_minute)
        query = self._statements.readings(part, limit=limit)
        if part.start == position.time:
            query = self._statements.readings_after(part, position, limit=limit)
        return self._read_page(part, query)

    def read_meters(
        self, window: Window, *, skip: int, limit: int, after: Position | None
    ) -> pl.DataFrame:
        """Return at most ``limit`` readings of the window in order, after the first ``skip`` or after a position.

        They are not counted first: counting the readings of some meters takes as long as reading them.
        """
        if after is None or after.time < window.start:
            skip = skip if after is None else 0
            return self._read_page(
                window, self._statements.readings(window, skip=skip, limit=limit)
            )
        window = replace(window, start=after.time)
        return self._read_page(window, self._statements.readings_after(window, after, limit=limit))

    def _read_page(self, part: Window, query: Query) -> pl.DataFrame:
        last = date.max if part.end is None else part.end.date()
        states = tuple(self._state.between(part.start.date(), last))
        key = (
            states,
            query.text,
            tuple((name, str(each)) for name, each in query.parameters.items()),
        )
        rows = None if query.tables else self._pages.get(key)
        if rows is None:
            rows = read(self._client, query)
            if not query.tables:
                self._pages.store(key, rows)
        return rows


def read(client: Client, query: Query) -> pl.DataFrame:
    """Return the readings frame of a query of :data:`READ_COLUMNS`."""
    return _with_measure_name(client.frame(query, _READ_SCHEMA))


def read_chunks(
    client: Client,
    statements: Statements,
    window: Window,
    chunks: Iterable[Chunk],
    until: datetime | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield the window's readings in each chunk, without empty frames: those written up to ``until``, or all."""
    queries = (
        statements.readings(
            clip(window, chunk.first_minute, chunk.last_minute), written_until=until
        )
        for chunk in chunks
    )
    for rows in client.frames(queries, _READ_SCHEMA):
        if len(rows):
            yield _with_measure_name(rows)


def _with_measure_name(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit(frame.MEASURE_NAME).alias("measure_name")).select(frame.COLUMNS)
