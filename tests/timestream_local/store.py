"""The tables' data in DuckDB: rows by key, each with the version it was written with."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

TYPES = {
    "DOUBLE": "DOUBLE",
    "BIGINT": "BIGINT",
    "BOOLEAN": "BOOLEAN",
    "VARCHAR": "VARCHAR",
    "TIMESTAMP": "TIMESTAMP",
}
"""The service's types of measures in DuckDB's words. Its nanoseconds are cut to microseconds here."""
VERSION = "_version"
_ROWS = "_rows"


@dataclass
class Columns:
    """What a table has grown to: its dimensions, and its measures with the service's type of each."""

    dimensions: list[str] = field(default_factory=list)
    measures: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> list[str]:
        """What identifies a row."""
        return ["time", "measure_name", *self.dimensions]

    @property
    def visible(self) -> list[str]:
        """What a query sees, in order."""
        return [*self.dimensions, "measure_name", "time", *self.measures]


def quoted(name: str) -> str:
    """A name in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


class Store:
    """All tables. A view by the table's own name shows its columns; its rows lie in a schema of their own."""

    def __init__(self, folder: Path | None) -> None:
        file = str(folder / "timestream.duckdb") if folder else ":memory:"
        self._connection = duckdb.connect(
            file, config={"enable_external_access": "false", "threads": 2}
        )
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_ROWS}")
        self._connection.execute("SET lock_configuration = true")
        self._lock = threading.Lock()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of one's own to the same data."""
        return self._connection.cursor()

    def create_database(self, database: str) -> None:
        """Room for tables."""
        with self._lock:
            self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(database)}")

    def drop_database(self, database: str) -> None:
        """An empty database goes."""
        with self._lock:
            self._connection.execute(f"DROP SCHEMA {quoted(database)}")

    def create(self, database: str, table: str, columns: Columns) -> None:
        """An empty table."""
        with self._lock:
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_rows_of(database, table)} "
                f"(time TIMESTAMP, measure_name VARCHAR, {VERSION} BIGINT)"
            )
            self._show(database, table, columns)

    def drop(self, database: str, table: str) -> None:
        """A table and its rows go."""
        with self._lock:
            self._connection.execute(f"DROP VIEW {quoted(database)}.{quoted(table)}")
            self._connection.execute(f"DROP TABLE {_rows_of(database, table)}")

    def grow(self, database: str, table: str, columns: Columns) -> None:
        """Add the columns that are new."""
        with self._lock:
            for name in columns.dimensions:
                self._add(database, table, name, "VARCHAR")
            for name, kind in columns.measures.items():
                self._add(database, table, name, TYPES[kind])
            self._show(database, table, columns)

    def upsert(
        self, database: str, table: str, columns: Columns, rows: pl.DataFrame
    ) -> list[tuple[int, int]]:
        """Write rows: all key columns, some measures, and :data:`VERSION`.

        A row replaces one of a lower version. One with the same values as are there is let pass. Says which
        were not taken: place, and the version that is there.
        """
        with self._lock:
            cursor = self._connection.cursor()
            cursor.register("incoming", rows.with_row_index("place").to_arrow())
            there = self._there(cursor, database, table, columns, rows)
            refused = [
                (place, version) for place, version, newer, same in there if not newer and not same
            ]
            replaced = [place for place, _, newer, _ in there if newer]
            unchanged = {place for place, _, newer, _ in there if not newer}
            target = _rows_of(database, table)
            cursor.begin()
            if replaced:
                cursor.execute(
                    f"DELETE FROM {target} AS kept USING incoming WHERE incoming.place IN "
                    f"(SELECT unnest(?::BIGINT[])) AND {_same_key(columns)}",
                    [replaced],
                )
            names = ", ".join(quoted(name) for name in rows.columns)
            cursor.execute(
                f"INSERT INTO {target} ({names}) SELECT {names} FROM incoming "
                "WHERE place NOT IN (SELECT unnest(?::BIGINT[]))",
                [sorted(unchanged)],
            )
            cursor.commit()
            cursor.unregister("incoming")
        return refused

    def forget_before(self, database: str, table: str, instant: datetime) -> None:
        """Rows older than the magnetic store keeps go."""
        with self._lock:
            self._connection.execute(
                f"DELETE FROM {_rows_of(database, table)} WHERE time < ?", [instant]
            )

    def _there(
        self,
        cursor: duckdb.DuckDBPyConnection,
        database: str,
        table: str,
        columns: Columns,
        rows: pl.DataFrame,
    ) -> list[tuple[int, int, bool, bool]]:
        """Rows whose key is there: place, version that is there, whether theirs is higher, whether values are equal."""
        measures = [name for name in rows.columns if name in columns.measures]
        same = " AND ".join(
            f"kept.{quoted(name)} IS NOT DISTINCT FROM incoming.{quoted(name)}" for name in measures
        )
        # The bounds let DuckDB leave out what lies elsewhere in time.
        return cursor.execute(
            f"SELECT place, kept.{VERSION}, incoming.{VERSION} > kept.{VERSION}, {same or 'true'} "
            f"FROM incoming JOIN {_rows_of(database, table)} AS kept ON {_same_key(columns)} "
            "WHERE kept.time BETWEEN ? AND ?",
            [rows["time"].min(), rows["time"].max()],
        ).fetchall()

    def _add(self, database: str, table: str, name: str, kind: str) -> None:
        self._connection.execute(
            f"ALTER TABLE {_rows_of(database, table)} ADD COLUMN IF NOT EXISTS {quoted(name)} {kind}"
        )

    def _show(self, database: str, table: str, columns: Columns) -> None:
        names = ", ".join(quoted(name) for name in columns.visible)
        self._connection.execute(
            f"CREATE OR REPLACE VIEW {quoted(database)}.{quoted(table)} AS "
            f"SELECT {names} FROM {_rows_of(database, table)}"
        )


def _rows_of(database: str, table: str) -> str:
    return f"{_ROWS}.{quoted(f'{database}/{table}')}"


def _same_key(columns: Columns) -> str:
    return " AND ".join(
        ["kept.time = incoming.time", "kept.measure_name = incoming.measure_name"]
        + [
            f"kept.{quoted(name)} IS NOT DISTINCT FROM incoming.{quoted(name)}"
            for name in columns.dimensions
        ]
    )
