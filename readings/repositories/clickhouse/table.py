"""Create, check, inspect and delete the table."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, fields

import polars as pl

from headend.config.program import PROGRAM
from readings import frame
from readings.repositories.clickhouse.address import SHARD_TABLE, TABLE, ClickHouseAddress
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.query import INSTANT, Query, identifier
from readings.repository_errors import RepositoryUnavailableError

COLUMNS = {
    # Instants are equal in thousands of rows. LZ4 decodes them faster than DoubleDelta.
    "time": f"{INSTANT} CODEC(LZ4)",
    "arrival_time": f"{INSTANT} CODEC(LZ4)",
    "device_id": "String CODEC(ZSTD(1))",
    "measure_name": "String ALIAS 'readings'",
    "load": "Nullable(Int64) CODEC(ZSTD(1))",
    **dict.fromkeys(("crrnt", "pf", "kva", "kw", "vltg"), "Nullable(Float64) CODEC(ZSTD(1))"),
    **dict.fromkeys(("kwh", "import_kwh", "export_kwh"), "Nullable(Float64) CODEC(ZSTD(1))"),
    "quality": "Nullable(String) CODEC(ZSTD(1))",
    # The arrival time of a correction; 1970 for the first reading of a meter and time.
    "correction": f"{INSTANT} CODEC(LZ4)",
    "written": f"{INSTANT} DEFAULT now64(6, 'UTC') CODEC(LZ4)",
    # ReplacingMergeTree keeps the row with the highest version: the one that was written first.
    "precedence": "UInt64 MATERIALIZED 18446744073709551615 - toUnixTimestamp64Micro(written)"
    " CODEC(LZ4)",
}
_ORDER, _PRIMARY_KEY, _PARTITION = (
    "time, device_id, correction",
    "time, device_id",
    "toYYYYMMDD(time)",
)
_VERSION = "precedence"
_WITHOUT_NULLS = ("Int64", "Float64")
"""The types of measures in tables of earlier releases."""
_DISTRIBUTED = re.compile(
    rf"Distributed\('([^']+)', '[^']+', '{SHARD_TABLE}', {re.escape(_PARTITION)}\)"
)
_SETTINGS = (
    # A page of a meter reads one granule of each interval.
    "index_granularity = 1024,"
    # A day without new readings becomes one part, which FINAL reads without comparing rows.
    " min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 1"
)


def create_table(database: str) -> str:
    """Return the statement that creates the table on one server if it does not exist."""
    return _create(database, TABLE, f"ReplacingMergeTree({_VERSION})")


def create_in_cluster(database: str, cluster: str) -> list[str]:
    """Return the statements that create the tables on all servers of a cluster if they do not exist.

    :data:`SHARD_TABLE` stores the readings of a server's days. :data:`TABLE` stands for all shards. All readings of a
    day are on one shard, so that an insert is atomic for each day, and ``FINAL`` sees all rows with the same key.
    """
    everywhere = f" ON CLUSTER {identifier(cluster)}"
    replicated = (
        "ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', "
        f"{_VERSION})"
    )
    place = f"{identifier(cluster)}, {identifier(database)}, {identifier(SHARD_TABLE)}"
    return [
        _create(database, SHARD_TABLE, replicated, everywhere),
        f"CREATE TABLE IF NOT EXISTS {identifier(database)}.{identifier(TABLE)}{everywhere}"
        f" AS {identifier(database)}.{identifier(SHARD_TABLE)}"
        f" ENGINE = Distributed({place}, {_PARTITION})",
    ]


def _create(database: str, table: str, engine: str, everywhere: str = "") -> str:
    columns = ", ".join(f"{name} {definition}" for name, definition in COLUMNS.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {identifier(database)}.{identifier(table)}{everywhere} ({columns})"
        f" ENGINE = {engine} PARTITION BY {_PARTITION}"
        f" PRIMARY KEY ({_PRIMARY_KEY}) ORDER BY ({_ORDER}) SETTINGS {_SETTINGS}"
    )


@dataclass(frozen=True)
class _Shape:
    engine: str
    engine_full: str
    partition_key: str
    primary_key: str
    sorting_key: str


@dataclass(frozen=True)
class Layout:
    """What differs between tables of headend.

    ``cluster`` is the cluster that stores the readings, or None if one server does. Tables of earlier releases have
    ``missing`` columns, and columns ``without_nulls``.
    """

    cluster: str | None
    missing: frozenset[str] = frozenset()
    without_nulls: frozenset[str] = frozenset()

    def columns_to_change(self, readings: pl.DataFrame) -> list[str]:
        """Return the columns that must be added or changed before these readings can be inserted."""
        return [
            name
            for name in readings.columns
            if name in self.missing or (name in self.without_nulls and readings[name].has_nulls())
        ]


def alter_table(database: str, layout: Layout, columns: Collection[str]) -> list[str]:
    """Return the statements that add these columns, or let them be null if they exist."""
    added = [
        f"ADD COLUMN IF NOT EXISTS {name} {COLUMNS[name]}"
        for name in columns
        if name in layout.missing
    ]
    changed = [
        f"MODIFY COLUMN {name} {COLUMNS[name]}" for name in columns if name in layout.without_nulls
    ]
    tables = [TABLE] if layout.cluster is None else [SHARD_TABLE, TABLE]
    everywhere = "" if layout.cluster is None else f" ON CLUSTER {identifier(layout.cluster)}"
    return [
        f"ALTER TABLE {identifier(database)}.{identifier(table)}{everywhere} {', '.join(added + changed)}"
        f" SETTINGS alter_sync = {0 if changed else 1}"
        for table in (tables if added or changed else ())
    ]


class Table:
    """The table of one database. All methods raise :class:`RepositoryUnavailableError` if the server fails."""

    def __init__(self, address: ClickHouseAddress, client: Client) -> None:
        self._database = address.database
        self._client = client
        self._names = {"database": address.database, "table": TABLE}

    @property
    def name(self) -> str:
        """The name as messages show it."""
        return f"{self._database}.{TABLE}"

    def exists(self) -> bool:
        """Return whether the table exists."""
        return self._shape(TABLE) is not None

    def create(self) -> bool:
        """Create the table. Return False if it exists already. Raises an error if it has another shape."""
        existed = self.exists()
        if not existed:
            self._client.command(Query(create_table(self._database)))
        self.check()
        return not existed

    def create_in_cluster(self, cluster: str) -> None:
        """Create the tables of a cluster if they do not exist. Raises an error if one has another shape."""
        for statement in create_in_cluster(self._database, cluster):
            self._client.command(Query(statement))
        self.check()

    def add_columns(self) -> list[str]:
        """Add the columns that a table of an earlier release does not have, and return their names."""
        layout = self.check()
        missing = [name for name in COLUMNS if name in layout.missing]
        self.change(layout, missing)
        return missing

    def change(self, layout: Layout, columns: Collection[str]) -> None:
        """Add these columns, or let them be null if they exist.

        Nothing is rewritten to add a column. To allow nulls, the server rewrites the column in the background, and
        readers and writers need not wait.
        """
        for statement in alter_table(self._database, layout, columns):
            self._client.command(Query(statement))

    def check(self) -> Layout:
        """Return the layout of the table.

        Raises :class:`RepositoryUnavailableError` if the table is missing, or is not one that :meth:`create` creates.
        """
        shape = self._shape(TABLE)
        if shape is None:
            raise RepositoryUnavailableError(
                f"The table {self.name} does not exist. Create it with `{PROGRAM} store create`."
            )
        distributed = _DISTRIBUTED.match(shape.engine_full)
        if distributed:
            shape = self._shape(SHARD_TABLE)
        wrong = "its table readings_shard is missing" if shape is None else self._difference(shape)
        if wrong:
            raise RepositoryUnavailableError(
                f"The table {self.name} is not a table of headend: {wrong}."
                " Rename it, or let READINGS_URL name another database."
            )
        cluster = distributed[1] if distributed else None
        types = self._column_types()
        return Layout(
            cluster,
            frozenset(frame.FURTHER_SCHEMA.keys() - types.keys()),
            frozenset(name for name in frame.MEASURES if types.get(name) in _WITHOUT_NULLS),
        )

    def uuid(self) -> str:
        """Return the UUID that the server has given to the table. Raises an error if the table is missing."""
        query = Query(
            "SELECT toString(uuid) AS uuid FROM system.tables"
            " WHERE database = {database:String} AND name = {table:String}",
            self._names,
        )
        found = self._client.frame(query, {"uuid": pl.String()})
        if found.is_empty():
            self.check()
        return str(found.item())

    def size(self) -> int | None:
        """Return the bytes on the server's disks, or None if other servers of a cluster have some of them."""
        if self.check().cluster is not None:
            return None
        query = Query(
            "SELECT sum(bytes_on_disk) AS size FROM system.parts"
            " WHERE database = {database:String} AND table = {table:String} AND active",
            self._names,
        )
        return int(self._client.frame(query, {"size": pl.Int64()}).item() or 0)

    def delete(self) -> bool:
        """Delete the table and all its readings. Return False if it does not exist.

        The server frees the disk space some minutes later. Raises :class:`RepositoryUnavailableError` for a table that
        :meth:`check` refuses, and for the tables of a cluster.
        """
        if not self.exists():
            return False
        cluster = self.check().cluster
        if cluster is not None:
            raise RepositoryUnavailableError(
                f"The readings are on all servers of the cluster {cluster}. Delete the tables {TABLE} and {SHARD_TABLE}"
                f" of {self._database} with DROP TABLE … ON CLUSTER {cluster}."
            )
        table = f"{identifier(self._database)}.{identifier(TABLE)}"
        self._client.command(Query(f"DROP TABLE IF EXISTS {table}"))
        return True

    def _shape(self, table: str) -> _Shape | None:
        names = [each.name for each in fields(_Shape)]
        query = Query(
            "SELECT engine, engine_full, partition_key, primary_key, sorting_key FROM system.tables"
            " WHERE database = {database:String} AND name = {table:String}",
            {"database": self._database, "table": table},
        )
        found = self._client.frame(query, dict.fromkeys(names, pl.String()))
        return _Shape(*found.row(0)) if len(found) else None

    def _difference(self, shape: _Shape) -> str | None:
        """Return what is wrong with the table, or None."""
        engine = shape.engine.removeprefix("Replicated").removeprefix("Shared")
        if engine != "ReplacingMergeTree" or f"{_VERSION})" not in shape.engine_full:
            return f"its engine is {shape.engine}, not ReplacingMergeTree({_VERSION})"
        for name, found, expected in (
            ("partition key", shape.partition_key, _PARTITION),
            ("primary key", shape.primary_key, _PRIMARY_KEY),
            ("sorting key", shape.sorting_key, _ORDER),
        ):
            if found != expected:
                return f"its {name} is {found!r}, not {expected!r}"
        return self._wrong_column()

    def _wrong_column(self) -> str | None:
        types = self._column_types()
        for name, definition in COLUMNS.items():
            expected = INSTANT if definition.startswith(INSTANT) else definition.partition(" ")[0]
            found = types.get(name)
            is_of_earlier_release = (
                found is None
                if name in frame.FURTHER_SCHEMA
                else found in _WITHOUT_NULLS and expected == f"Nullable({found})"
            )
            if found != expected and not is_of_earlier_release:
                return f"its column {name} is {found or 'missing'}, not {expected}"
        return None

    def _column_types(self) -> dict[str, str]:
        query = Query(
            "SELECT name, type FROM system.columns"
            " WHERE database = {database:String} AND table = {table:String}",
            self._names,
        )
        found = self._client.frame(query, dict.fromkeys(("name", "type"), pl.String()))
        return dict(found.iter_rows())
