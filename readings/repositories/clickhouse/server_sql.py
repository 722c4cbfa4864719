"""SQL about the server and its parts: which days have changed, what runs, and how to delete a day."""

from __future__ import annotations

from datetime import datetime

from readings.repositories.clickhouse.address import SHARD_TABLE, TABLE
from readings.repositories.clickhouse.query import INSTANT, Query, as_text, identifier

_STARTED_BEFORE = (
    f"now64(6, 'UTC') - toIntervalMicrosecond(toInt64(elapsed * 1e6)) <= {{t:{INSTANT}}}"
)


class ServerStatements:
    """The statements about the table of one database, and the servers that store it."""

    def __init__(self, database: str, cluster: str | None = None) -> None:
        """``cluster`` is the name of a cluster whose servers store the readings, or None for one server."""
        self._database = database
        self._cluster = cluster
        self._table = f"{identifier(database)}.{identifier(TABLE)}"
        self._storing_table = TABLE if cluster is None else SHARD_TABLE

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
            {"database": self._database, "table": self._storing_table},
        )

    def now(self) -> Query:
        """Return the server's time."""
        return Query("SELECT now64(6, 'UTC') AS now")

    def running_inserts(self, started_until: datetime) -> Query:
        """Return how many inserts into the table, started up to an instant of the server's clock, still run."""
        return Query(
            f"SELECT count() AS running FROM {self._system('processes')} WHERE query_kind = 'Insert'"
            f" AND position(query, {{quoted_table:String}}) > 0 AND {_STARTED_BEFORE}",
            {"t": as_text(started_until), "quoted_table": self._table},
        )

    def drop_partition(self, day: str) -> Query:
        """Delete the readings of a day (YYYYMMDD)."""
        table = f"{identifier(self._database)}.{identifier(self._storing_table)}"
        everywhere = "" if self._cluster is None else f" ON CLUSTER {identifier(self._cluster)}"
        return Query(
            f"ALTER TABLE {table}{everywhere} DROP PARTITION ID {{day:String}}", {"day": day}
        )

    def _system(self, table: str) -> str:
        """Return a system table of the server, or of all servers of the cluster."""
        if self._cluster is None:
            return f"system.{table}"
        return f"clusterAllReplicas({identifier(self._cluster)}, system.{table})"
