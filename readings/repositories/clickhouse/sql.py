"""The SQL of the ClickHouse repository. Every value is a bound parameter or a row of an external table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from readings import frame
from readings.instants import format_instant
from readings.repositories.clickhouse.address import SHARD_TABLE, TABLE
from readings.window import Position, Window

READ_COLUMNS = [name for name in frame.COLUMNS if name != "measure_name"]
"""The columns that are stored and queried. The measure name is the same in all readings."""
_INSTANT = "DateTime64(6, 'UTC')"
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 12, 31, tzinfo=UTC)
"""The limits of ClickHouse's instants. Bounds outside them, such as Python's first instant, are replaced by them."""
_MAX_METERS_AS_PARAMETER = 1_000
"""If there are more meters, they are sent as a table: a server limits the length of a parameter to 128 KiB."""
_ONE_THREAD = {"max_threads": 1}
"""For queries that read adjacent rows. With several threads, a page takes 12 ms instead of 8."""
_METERS, _KEYS = "requested_meters", "new_readings"
_STARTED_BEFORE = (
    f"now64(6, 'UTC') - toIntervalMicrosecond(toInt64(elapsed * 1e6)) <= {{t:{_INSTANT}}}"
)


@dataclass(frozen=True)
class Query:
    """A statement, its parameters and settings, and the external tables sent with it: (structure, rows) by name."""

    text: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, tuple[str, pl.DataFrame]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def identifier(name: str) -> str:
    """Return the quoted name of a database, table or column."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _text(instant: datetime) -> str:
    return format_instant(min(max(instant, _FIRST), _LAST))


_BEGIN = "toDateTime64(begin, 6, 'UTC')"
"""Converted, because in Arrow the result of ``toStartOfMinute`` is a number of seconds."""
_BY_MINUTE = "GROUP BY toStartOfMinute(time) AS begin ORDER BY begin"
_BY_HOUR = "GROUP BY toStartOfHour(time) AS begin ORDER BY begin"


_COLUMNS = ", ".join(identifier(name) for name in READ_COLUMNS)
_IN_ORDER = "ORDER BY time, device_id"
_LATE = "countIf(arrival_time > time) AS late"


class Statements:
    """The statements about the readings of one database.

    Each method returns a query; its docstring says what the query returns or does. ``FINAL`` returns each reading once,
    also if several processes have inserted it.
    """

    def __init__(self, database: str, cluster: str | None = None) -> None:
        """``cluster`` is the name of a cluster whose servers store the readings, or None for one server."""
        self.database = database
        self.table = f"{identifier(database)}.{identifier(TABLE)}"
        self._cluster = cluster
        self._storing_table = TABLE if cluster is None else SHARD_TABLE

    def minute_index(self, window: Window) -> Query:
        """Return the columns of ``MINUTE_INDEX_SCHEMA``."""
        return self._select(
            f"{_BEGIN}, count() AS readings, min(time) AS first, max(time) AS last,"
            " min(arrival_time) AS first_arrival, max(arrival_time) AS last_arrival",
            window,
            _BY_MINUTE,
        )

    def minute_counts(self, window: Window, *, written_until: datetime | None = None) -> Query:
        """Return the columns of ``MINUTE_COUNTS_SCHEMA``."""
        return self._select(
            f"{_BEGIN}, count() AS readings",
            window,
            _BY_MINUTE,
            written_until=written_until,
        )

    def interval_totals(self, window: Window) -> Query:
        """Return the columns of ``INTERVAL_TOTALS_SCHEMA``."""
        return self._select(
            f"{_BEGIN}, count() AS readings, {_LATE}, sum(kw) AS sum_kw",
            window,
            _BY_MINUTE,
        )

    def hourly_means(self, window: Window) -> Query:
        """Return the columns of ``HOURLY_MEANS_SCHEMA``."""
        return self._select(
            f"{_BEGIN}, count() AS readings, {_LATE}, avg(kw), avg(vltg), avg(crrnt), avg(pf)",
            window,
            _BY_HOUR,
        )

    def readings(
        self,
        window: Window,
        *,
        skip: int = 0,
        limit: int | None = None,
        written_until: datetime | None = None,
    ) -> Query:
        """Return the window's readings in order, or ``limit`` of them after the first ``skip``."""
        clause = (
            _IN_ORDER if limit is None else f"{_IN_ORDER} LIMIT {int(limit)} OFFSET {int(skip)}"
        )
        query = self._select(_COLUMNS, window, clause, written_until=written_until)
        return query if window.device_ids else replace(query, settings=_ONE_THREAD)

    def readings_after(self, window: Window, position: Position, *, limit: int) -> Query:
        """Return the first readings after a position, in order. The window starts at the position's time."""
        query = self._select(
            _COLUMNS,
            window,
            f"{_IN_ORDER} LIMIT {int(limit)}",
            condition=f"(time > {{after_time:{_INSTANT}}} OR device_id > {{after_device:String}})",
            parameters={"after_time": _text(position.time), "after_device": position.device_id},
        )
        return query if window.device_ids else replace(query, settings=_ONE_THREAD)

    def last_times(self, window: Window) -> Query:
        """Return the columns of ``Snapshot.last_times``."""
        return self._select("device_id, max(time) AS last", window, "GROUP BY device_id")

    def day_summary(self, window: Window) -> Query:
        """Return the columns of ``Snapshot.day_summaries`` for a window of one day, without the day."""
        return self._select(
            "min(time) AS earliest, max(time) AS latest, count() AS readings,"
            " uniqExact(time) AS intervals, uniqExact(device_id) AS meters",
            window,
        )

    def meter_count(self) -> Query:
        """Return one row with the number of meters. A reading that is stored twice does not change it."""
        return Query(f"SELECT uniqExact(device_id) AS meters FROM {self.table}")

    def has_readings(self, first: datetime, last: datetime) -> Query:
        """Return one row if there is a reading from ``first`` to ``last``."""
        return self._select("1 AS found", Window(first, last), "LIMIT 1", final=False)

    def stored(self, keys: pl.DataFrame) -> Query:
        """Return the ``time`` and ``device_id`` of those ``keys`` that are stored. ``keys``: in order, not empty."""
        window = Window(keys["time"][0], keys["time"][-1])
        query = self._select(
            "DISTINCT time, device_id",
            window,
            condition=f"(time, device_id) IN (SELECT time, device_id FROM {_KEYS})",
            final=False,
        )
        structure = f"time {_INSTANT}, device_id String"
        return Query(query.text, query.parameters, {_KEYS: (structure, keys)})

    def partitions(self) -> Query:
        """Return the state of each day: ``day`` as YYYYMMDD, ``newest``, ``blocks``, ``changes`` and ``table_id``.

        Each insert into a day has the next block number. Merges keep the numbers. ``newest`` is the highest number.
        ``blocks`` is how many numbers there are, because a replica may show an insert before one with a lower number.
        ``changes`` is the version of the last ALTER. ``table_id`` differs after the table was created again.
        """
        return Query(
            "SELECT partition_id AS day, max(max_block_number) AS newest,"
            " sum(max_block_number - min_block_number + 1) AS blocks, max(data_version) AS changes,"
            " min(extract(path, '[0-9a-f]{8}-[0-9a-f-]{27}')) AS table_id"
            f" FROM {self._system('parts')} WHERE database = {{database:String}}"
            " AND table = {table:String} AND active"
            " GROUP BY partition_id ORDER BY partition_id",
            {"database": self.database, "table": self._storing_table},
        )

    def now(self) -> Query:
        """Return the server's time."""
        return Query("SELECT now64(6, 'UTC') AS now")

    def running_inserts(self, started_until: datetime) -> Query:
        """Return how many inserts into the table, started up to an instant of the server's clock, still run."""
        return Query(
            f"SELECT count() AS running FROM {self._system('processes')} WHERE query_kind = 'Insert'"
            f" AND position(query, {{quoted_table:String}}) > 0 AND {_STARTED_BEFORE}",
            {"t": _text(started_until), "quoted_table": self.table},
        )

    def drop_partition(self, day: str) -> Query:
        """Delete the readings of a day (YYYYMMDD)."""
        table = f"{identifier(self.database)}.{identifier(self._storing_table)}"
        everywhere = "" if self._cluster is None else f" ON CLUSTER {identifier(self._cluster)}"
        return Query(
            f"ALTER TABLE {table}{everywhere} DROP PARTITION ID {{day:String}}", {"day": day}
        )

    def _system(self, table: str) -> str:
        """Return a system table of the server, or of all servers of the cluster."""
        if self._cluster is None:
            return f"system.{table}"
        return f"clusterAllReplicas({identifier(self._cluster)}, system.{table})"

    def _select(
        self,
        columns: str,
        window: Window,
        clauses: str = "",
        *,
        condition: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        written_until: datetime | None = None,
        final: bool = True,
    ) -> Query:
        of_window = _conditions(window)
        terms, bound = [of_window.text], {**of_window.parameters, **(parameters or {})}
        if condition is not None:
            terms.append(condition)
        if written_until is not None:
            terms.append(f"written <= {{written_until:{_INSTANT}}}")
            bound["written_until"] = _text(written_until)
        source = f"{self.table} FINAL" if final else self.table
        text = f"SELECT {columns} FROM {source} WHERE {' AND '.join(terms)} {clauses}"
        return Query(text.strip(), bound, of_window.tables)


def _conditions(window: Window) -> Query:
    """Return the window as the condition of a WHERE clause."""
    bounds = {
        "start": ("time >=", window.start),
        "end": ("time <=", window.end),
        "arrived_after": ("arrival_time >", window.arrived_after),
        "as_of": ("arrival_time <=", window.as_of),
    }
    given = {name: bound for name, bound in bounds.items() if bound[1] is not None}
    terms = [f"{comparison} {{{name}:{_INSTANT}}}" for name, (comparison, _) in given.items()]
    parameters: dict[str, Any] = {
        name: _text(instant) for name, (_, instant) in given.items() if instant
    }
    tables = {}
    meters = list(window.device_ids)
    if len(meters) > _MAX_METERS_AS_PARAMETER:
        terms.append(f"device_id IN (SELECT device_id FROM {_METERS})")
        tables[_METERS] = ("device_id String", pl.DataFrame({"device_id": meters}))
    elif meters:
        terms.append("device_id IN {meters:Array(String)}")
        parameters["meters"] = meters
    return Query(" AND ".join(terms), parameters, tables)
