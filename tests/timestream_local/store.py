"""The data of the tables in DuckDB. Each row has the version with which it was written."""

from __future__ import annotations

import threading
from contextlib import closing
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
"""DuckDB's type for each type of a measure. Nanoseconds are truncated to microseconds."""
VERSION = "_version"
_ROWS = "_rows"
_IN_TIME = "stored.time BETWEEN ? AND ?"
"""With the bounds of the incoming rows, this lets DuckDB skip other row groups."""


@dataclass
class Columns:
    """A table's dimensions, and its measures with their types."""

    dimensions: list[str] = field(default_factory=list)
    measures: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> list[str]:
        """The columns that identify a row."""
        return ["time", "measure_name", *self.dimensions]

    @property
    def visible(self) -> list[str]:
        """The columns that a query sees, in order."""
        return [*self.dimensions, "measure_name", "time", *self.measures]


def quoted(name: str) -> str:
    """Return a name as an identifier of DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


class Store:
    """All tables. Rows are stored in a separate schema; a view with the table's name shows its columns."""

    def __init__(self, folder: Path | None) -> None:
        file = str(folder / "timestream.duckdb") if folder else ":memory:"
        self._connection = duckdb.connect(
            file,
            # Further threads spend more processor time on waiting than on a test's small tables.
            config={"enable_external_access": "false", "threads": 1},
        )
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_ROWS}")
        self._connection.execute("SET lock_configuration = true")
        self._lock = threading.Lock()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return another connection to the same data."""
        return self._connection.cursor()

    def create_database(self, database: str) -> None:
        """Create a database."""
        with self._lock:
            self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(database)}")

    def drop_database(self, database: str) -> None:
        """Delete an empty database."""
        with self._lock:
            self._connection.execute(f"DROP SCHEMA {quoted(database)}")

    def create(self, database: str, table: str, columns: Columns) -> None:
        """Create an empty table."""
        with self._lock:
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_rows_of(database, table)} "
                f"(time TIMESTAMP, measure_name VARCHAR, {VERSION} BIGINT)"
            )
            self._show(database, table, columns)

    def drop(self, database: str, table: str) -> None:
        """Delete a table with its rows."""
        with self._lock:
            self._connection.execute(f"DROP VIEW {quoted(database)}.{quoted(table)}")
            self._connection.execute(f"DROP TABLE {_rows_of(database, table)}")

    def add_columns(self, database: str, table: str, columns: Columns) -> None:
        """Add the columns that the table does not have."""
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

        A row replaces a stored row of a lower version. Assumption: then the measures that it does not have are null.
        A row with the stored values is accepted. Return the index of each rejected row, and the stored version.
        """
        target = _rows_of(database, table)
        names = ", ".join(quoted(name) for name in rows.columns)
        with self._lock, closing(self._connection.cursor()) as cursor:
            cursor.register("incoming", rows.with_row_index("row_index").to_arrow())
            # Most rows are new, and a query of the keys alone takes half as long as one of the values.
            existing = (
                self._existing(cursor, target, columns, rows)
                if self._stored(cursor, target, columns, rows)
                else []
            )
            replaced = [row for row, _, newer, _ in existing if newer]
            unchanged = [row for row, _, newer, _ in existing if not newer]
            cursor.begin()
            if replaced:
                cursor.execute(
                    f"DELETE FROM {target} AS stored USING incoming WHERE incoming.row_index IN "
                    f"(SELECT unnest(?::BIGINT[])) AND {_same_key(columns)}",
                    [replaced],
                )
            insert = f"INSERT INTO {target} ({names}) SELECT {names} FROM incoming"
            if unchanged:
                cursor.execute(
                    f"{insert} WHERE incoming.row_index NOT IN (SELECT unnest(?::BIGINT[]))",
                    [unchanged],
                )
            else:
                cursor.execute(insert)
            cursor.commit()
        return [(row, version) for row, version, newer, same in existing if not newer and not same]

    def delete_before(self, database: str, table: str, instant: datetime) -> None:
        """Delete rows that are older than the magnetic store keeps."""
        with self._lock:
            self._connection.execute(
                f"DELETE FROM {_rows_of(database, table)} WHERE time < ?", [instant]
            )

    def _stored(
        self,
        cursor: duckdb.DuckDBPyConnection,
        target: str,
        columns: Columns,
        rows: pl.DataFrame,
    ) -> bool:
        """Return whether the key of any row is stored."""
        found = cursor.execute(
            f"SELECT 1 FROM incoming JOIN {target} AS stored ON {_same_key(columns)} "
            f"WHERE {_IN_TIME} LIMIT 1",
            [rows["time"].min(), rows["time"].max()],
        ).fetchone()
        return found is not None

    def _existing(
        self,
        cursor: duckdb.DuckDBPyConnection,
        target: str,
        columns: Columns,
        rows: pl.DataFrame,
    ) -> list[tuple[int, int, bool, bool]]:
        """Return the rows whose key is stored: index, stored version, whether the new version is higher,
        and whether the values are equal.
        """
        measures = [name for name in rows.columns if name in columns.measures]
        same = " AND ".join(
            f"stored.{quoted(name)} IS NOT DISTINCT FROM incoming.{quoted(name)}"
            for name in measures
        )
        return cursor.execute(
            f"SELECT incoming.row_index, stored.{VERSION}, incoming.{VERSION} > stored.{VERSION}, {same or 'true'} "
            f"FROM incoming JOIN {target} AS stored ON {_same_key(columns)} WHERE {_IN_TIME}",
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
        ["stored.time = incoming.time", "stored.measure_name = incoming.measure_name"]
        + [
            f"stored.{quoted(name)} IS NOT DISTINCT FROM incoming.{quoted(name)}"
            for name in columns.dimensions
        ]
    )
