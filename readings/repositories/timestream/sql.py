"""The SQL of Timestream queries. Every value from a caller is written as a quoted literal.

The service cannot bind parameters; its ``PrepareQuery`` only checks a text. Results are read by the order of their
columns, and the column names avoid SQL keywords.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import polars as pl

from readings import frame
from readings.instants import format_instant
from readings.repositories.timestream.columns import TableColumns
from readings.window import Position, Window

STORED_SCHEMA = {name: kind for name, kind in frame.FULL_SCHEMA.items() if name != "measure_name"}
"""The columns that queries return. The measure name is a condition of every query instead."""
_TYPES = {pl.Int64(): "bigint", pl.Float64(): "double", pl.String(): "varchar"}
_REVISION = "sum((to_nanoseconds(arrival_time) - to_nanoseconds(time)) % 999999999989)"
"""Changes if a reading arrives later than before. A sum of remainders cannot overflow."""
CHUNK_COLUMN = "stretch"
"""The column by which an UNLOAD divides its files into folders. Stored extracts have it in their keys."""


def quoted(text: str) -> str:
    """Return a text literal."""
    return "'" + text.replace("'", "''") + "'"


def instant(moment: datetime) -> str:
    """Return a timestamp literal."""
    return f"TIMESTAMP '{format_instant(moment)}'"


def identifier(name: str) -> str:
    """Return the quoted name of a database, table or column."""
    return '"' + name.replace('"', '""') + '"'


def _list(columns: Iterable[str]) -> str:
    return ", ".join(identifier(name) for name in columns)


_ORDER = _list(frame.ORDER)
_IS_READING = f"measure_name = {quoted(frame.MEASURE_NAME)}"


def table_name(database: str, table: str) -> str:
    """Return the quoted name of a table."""
    return f"{identifier(database)}.{identifier(table)}"


def describe(database: str, table: str) -> str:
    """Return the query of a table's columns: one row for each, its name first."""
    return f"DESCRIBE {table_name(database, table)}"


class Statements:
    """The queries of one table. Columns that it does not have yet are null in the results."""

    def __init__(self, database: str, table: str, columns: TableColumns) -> None:
        self._table = table_name(database, table)
        self._columns = columns

    def minute_index(self, start: datetime, end: datetime) -> str:
        """Return the columns of ``COUNTED_SCHEMA`` for ``start <= time < end``."""
        return (
            "SELECT bin(time, 1m) AS whole_minute, count(*) AS readings, min(time) AS first_time, max(time) AS last_time,"
            f" min(arrival_time) AS first_arrival, max(arrival_time) AS last_arrival, {_REVISION} AS revision"
            f" FROM {self._table} WHERE {_IS_READING} AND time >= {instant(start)}"
            f" AND time < {instant(end)} GROUP BY bin(time, 1m) ORDER BY 1"
        )

    def minute_counts(self, window: Window) -> str:
        """Return the columns of ``MINUTE_COUNTS_SCHEMA``."""
        return (
            f"SELECT bin(time, 1m) AS whole_minute, count(*) AS readings FROM {self._table}"
            f" WHERE {conditions(window)} GROUP BY bin(time, 1m) ORDER BY 1"
        )

    def interval_totals(self, window: Window) -> str:
        """Return the columns of ``INTERVAL_TOTALS_SCHEMA``."""
        kwh = self._value("kwh")
        return (
            "SELECT bin(time, 1m) AS whole_minute, count(*) AS readings,"
            " sum(CASE WHEN arrival_time > time THEN 1 ELSE 0 END) AS late,"
            f" coalesce(sum({self._value('kw')}), 0) AS kw,"
            f" sum(CASE WHEN {kwh} > 0 THEN {kwh} ELSE 0 END) AS import_kwh,"
            f" sum(CASE WHEN {kwh} < 0 THEN -{kwh} ELSE 0 END) AS export_kwh"
            f" FROM {self._table} WHERE {conditions(window)} GROUP BY bin(time, 1m) ORDER BY 1"
        )

    def hourly_means(self, window: Window) -> str:
        """Return the columns of ``HOURLY_MEANS_SCHEMA``."""
        means = ", ".join(
            f"avg({self._value(name)}) AS {name}" for name in ("kw", "vltg", "crrnt", "pf")
        )
        return (
            "SELECT bin(time, 1h) AS whole_hour, count(*) AS readings,"
            f" sum(CASE WHEN arrival_time > time THEN 1 ELSE 0 END) AS late, {means},"
            f" sum({self._value('kwh')}) AS kwh"
            f" FROM {self._table} WHERE {conditions(window)} GROUP BY bin(time, 1h) ORDER BY 1"
        )

    def readings(self, columns: Sequence[str], window: Window, *, limit: int | None = None) -> str:
        """Return these columns of the window's readings in order, or of the first ``limit`` of them."""
        clause = "" if limit is None else f" LIMIT {limit}"
        return (
            f"SELECT {self._values(columns)} FROM {self._table} WHERE {conditions(window)}"
            f" ORDER BY {_ORDER}{clause}"
        )

    def readings_after(
        self, columns: Sequence[str], window: Window, position: Position, *, limit: int
    ) -> str:
        """Return the first readings after a position, in order. The window starts at the position's time."""
        after = f"(time > {instant(position.time)} OR device_id > {quoted(position.device_id)})"
        return (
            f"SELECT {self._values(columns)} FROM {self._table} WHERE {conditions(window)} AND {after}"
            f" ORDER BY {_ORDER} LIMIT {limit}"
        )

    def readings_by_row_number(
        self, columns: Sequence[str], window: Window, *, skip: int, limit: int
    ) -> str:
        """Return ``limit`` of the window's readings after the first ``skip``: the service has no OFFSET."""
        return (
            f"SELECT {_list(columns)} FROM (SELECT {self._values(columns)},"
            f" row_number() OVER (ORDER BY {_ORDER}) AS place"
            f" FROM {self._table} WHERE {conditions(window)})"
            f" WHERE place > {skip} AND place <= {skip + limit} ORDER BY place"
        )

    def keys(self, columns: Sequence[str], *windows: Window) -> str:
        """Return these columns of every reading of the windows, in no particular order."""
        any_window = " OR ".join(f"({conditions(window)})" for window in windows)
        return f"SELECT {_list(columns)} FROM {self._table} WHERE {any_window}"

    def last_times(self, window: Window) -> str:
        """Return the columns of ``Snapshot.last_times``."""
        return (
            f"SELECT device_id, max(time) AS last FROM {self._table} WHERE {conditions(window)}"
            " GROUP BY device_id"
        )

    def meter_summaries(self, window: Window) -> str:
        """Return the columns of ``METER_SUMMARIES_SCHEMA``."""
        return (
            "SELECT device_id, min(time) AS first_time, max(time) AS last_time, count(*) AS readings"
            f" FROM {self._table} WHERE {conditions(window)} GROUP BY device_id ORDER BY 1"
        )

    def day_summaries(self) -> str:
        """Return the columns of ``Snapshot.day_summaries``; the day is an instant."""
        return (
            "SELECT date_trunc('day', time) AS whole_day, min(time) AS earliest, max(time) AS latest,"
            " count(*) AS readings, count(DISTINCT time) AS intervals,"
            f" count(DISTINCT device_id) AS meters FROM {self._table} WHERE {_IS_READING}"
            " GROUP BY date_trunc('day', time) ORDER BY 1"
        )

    def meter_count(self) -> str:
        """Return one row with the column ``meters``."""
        return f"SELECT count(DISTINCT device_id) AS meters FROM {self._table} WHERE {_IS_READING}"

    def unload(self, window: Window, chunk_starts: list[datetime], url: str) -> str:
        """Write the window's readings as Parquet files below ``url``, with one folder per chunk.

        The first chunk starts with the window; ``chunk_starts`` are the starts of the others. A folder is named
        after the second (since 1970) in which its chunk starts.
        """
        starts = [window.start, *chunk_starts]
        cases = " ".join(
            f"WHEN time < {instant(end)} THEN '{int(start.timestamp())}'"
            for start, end in zip(starts, chunk_starts, strict=False)
        )
        last = f"'{int(starts[-1].timestamp())}'"
        chunk = f"CASE {cases} ELSE {last} END" if chunk_starts else last
        return (
            f"UNLOAD (SELECT {self._values(STORED_SCHEMA)}, {chunk} AS {CHUNK_COLUMN} FROM {self._table}"
            f" WHERE {conditions(window)}) TO {quoted(url)}"
            f" WITH (format = 'PARQUET', partitioned_by = ARRAY['{CHUNK_COLUMN}'])"
        )

    def _values(self, columns: Iterable[str]) -> str:
        return ", ".join(
            identifier(name)
            if self._columns.has(name)
            else f"{self._value(name)} AS {identifier(name)}"
            for name in columns
        )

    def _value(self, name: str) -> str:
        """Return a column as an expression, or a null of its type."""
        if self._columns.has(name):
            return identifier(name)
        return f"CAST(NULL AS {_TYPES[STORED_SCHEMA[name]]})"


def conditions(window: Window) -> str:
    """Return the window as the condition of a WHERE clause."""
    terms = [_IS_READING, f"time >= {instant(window.start)}"]
    if window.end is not None:
        terms.append(f"time <= {instant(window.end)}")
    if window.device_ids:
        terms.append(f"device_id IN ({', '.join(quoted(meter) for meter in window.device_ids)})")
    if window.arrived_after is not None:
        terms.append(f"arrival_time > {instant(window.arrived_after)}")
    if window.as_of is not None:
        terms.append(f"arrival_time <= {instant(window.as_of)}")
    return " AND ".join(terms)
