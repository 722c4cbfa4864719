"""Create, check, inspect and delete the table."""

from __future__ import annotations

import polars as pl

from readings.repositories.clickhouse.address import TABLE, Address
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.sql import Query, identifier
from readings.repository_errors import RepositoryUnavailableError

_INSTANT = "DateTime64(6, 'UTC')"
COLUMNS = {
    "time": f"{_INSTANT} CODEC(DoubleDelta, ZSTD(1))",
    "arrival_time": f"{_INSTANT} CODEC(DoubleDelta, ZSTD(1))",
    "device_id": "String CODEC(ZSTD(1))",
    "measure_name": "String ALIAS 'readings'",
    "load": "Int64 CODEC(ZSTD(1))",
    **dict.fromkeys(("crrnt", "pf", "kva", "kw", "vltg"), "Float64 CODEC(ZSTD(1))"),
    # The arrival time of a correction; 1970 for the first reading of a meter and time.
    "correction": f"{_INSTANT} CODEC(DoubleDelta, ZSTD(1))",
    "written": f"{_INSTANT} DEFAULT now64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1))",
    # ReplacingMergeTree keeps the row with the highest version: the one that was written first.
    "precedence": "UInt64 MATERIALIZED 18446744073709551615 - toUnixTimestamp64Micro(written)"
    " CODEC(DoubleDelta, ZSTD(1))",
}
_ORDER, _PRIMARY_KEY, _PARTITION = (
    "time, device_id, correction",
    "time, device_id",
    "toYYYYMMDD(time)",
)
_VERSION = "precedence"
_SETTINGS = (
    # A page of a meter reads one granule of each interval.
    "index_granularity = 1024,"
    # A day without new readings becomes one part, which FINAL reads without comparing rows.
    " min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1"
)


def create_table(database: str) -> str:
    """Return the statement that creates the table if it does not exist."""
    columns = ", ".join(f"{name} {definition}" for name, definition in COLUMNS.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {identifier(database)}.{identifier(TABLE)} ({columns})"
        f" ENGINE = ReplacingMergeTree({_VERSION}) PARTITION BY {_PARTITION}"
        f" PRIMARY KEY ({_PRIMARY_KEY}) ORDER BY ({_ORDER}) SETTINGS {_SETTINGS}"
    )


class Table:
    """The table of one database. All methods raise :class:`RepositoryUnavailableError` if the server fails."""

    def __init__(self, address: Address, client: Client) -> None:
        self._database = address.database
        self._client = client
        self._names = {"database": address.database, "table": TABLE}

    @property
    def name(self) -> str:
        """The name as messages show it."""
        return f"{self._database}.{TABLE}"

    def exists(self) -> bool:
        """Return whether the table exists."""
        return self._shape() is not None

    def create(self) -> bool:
        """Create the table. Return False if it exists already. Raises an error if it has another shape."""
        existed = self.exists()
        if not existed:
            self._client.command(Query(create_table(self._database)))
        self.check()
        return not existed

    def check(self) -> None:
        """Raise :class:`RepositoryUnavailableError` if the table is missing, or is not one that :meth:`create` creates."""
        shape = self._shape()
        if shape is None:
            raise RepositoryUnavailableError(
                f"The table {self.name} does not exist. Create it with `manage.py setup`."
            )
        wrong = self._difference(shape)
        if wrong:
            raise RepositoryUnavailableError(
                f"The table {self.name} is not a table of headend: {wrong}."
                " Rename it, or let READINGS_URL name another database."
            )

    def size(self) -> int:
        """Return the bytes on the server's disks."""
        query = Query(
            "SELECT sum(bytes_on_disk) AS size FROM system.parts"
            " WHERE database = {database:String} AND table = {table:String} AND active",
            self._names,
        )
        return int(self._client.frame(query, {"size": pl.Int64()}).item() or 0)

    def delete(self) -> bool:
        """Delete the table and all its readings. Return False if it does not exist.

        The server frees the disk space some minutes later.
        """
        if not self.exists():
            return False
        table = f"{identifier(self._database)}.{identifier(TABLE)}"
        self._client.command(Query(f"DROP TABLE IF EXISTS {table}"))
        return True

    def _shape(self) -> dict[str, str] | None:
        query = Query(
            "SELECT engine, engine_full, partition_key, primary_key, sorting_key FROM system.tables"
            " WHERE database = {database:String} AND name = {table:String}",
            self._names,
        )
        names = ("engine", "engine_full", "partition_key", "primary_key", "sorting_key")
        found = self._client.frame(query, dict.fromkeys(names, pl.String()))
        return found.row(0, named=True) if len(found) else None

    def _difference(self, shape: dict[str, str]) -> str | None:
        """Return what is wrong with the table, or None."""
        engine = shape["engine"].removeprefix("Replicated").removeprefix("Shared")
        if engine != "ReplacingMergeTree" or f"{_VERSION})" not in shape["engine_full"]:
            return f"its engine is {shape['engine']}, not ReplacingMergeTree({_VERSION})"
        for name, expected in {
            "partition_key": _PARTITION, "primary_key": _PRIMARY_KEY, "sorting_key": _ORDER,
        }.items():  # fmt: skip
            if shape[name] != expected:
                return f"its {name.replace('_', ' ')} is {shape[name]!r}, not {expected!r}"
        return self._wrong_column()

    def _wrong_column(self) -> str | None:
        query = Query(
            "SELECT name, type FROM system.columns"
            " WHERE database = {database:String} AND table = {table:String}",
            self._names,
        )
        found = self._client.frame(query, dict.fromkeys(("name", "type"), pl.String()))
        types = dict(found.iter_rows())
        for name, definition in COLUMNS.items():
            expected = _INSTANT if definition.startswith(_INSTANT) else definition.partition(" ")[0]
            if types.get(name) != expected:
                return f"its column {name} is {types.get(name, 'missing')}, not {expected}"
        return None
