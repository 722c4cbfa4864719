"""Runs the statements of calls in chDB.

Each call has its own connection, as it has its own session on a server. Opening and preparing one takes as long as a
small query, so connections with the same database and settings are reused.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chdb._chdb import connect  # type: ignore[attr-defined] # chdb ships no types for this module

from tests.clickhouse_local.call import Call

_INSERT = re.compile(r"^(\s*INSERT\s.+?)\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE | re.DOTALL)
_FORMAT = re.compile(r"\sFORMAT\s+(\w+)(\s+SETTINGS\s.*)?\s*;?\s*$", re.IGNORECASE | re.DOTALL)
_HAS_RESULT = re.compile(
    r"^\s*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN|KILL|\()", re.IGNORECASE
)
_KILL = re.compile(r"^\s*KILL\s+QUERY\b", re.IGNORECASE)
_QUERY_ID = re.compile(r"\bquery_id\b")


@dataclass(frozen=True)
class Answer:
    """The result of a statement. ``format`` is None if a statement of this kind has no result."""

    content: bytes
    format: str | None
    rows_read: int
    bytes_read: int
    seconds: float


@dataclass
class _Substitution:
    contains: str
    statement: str
    times: int


class Engine:
    """A chDB with its data in a folder. A process can have only one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = str(folder)
        # The engine ends with its last connection.
        self._open: Any = connect(self._path)
        self._idle: dict[Any, list[Any]] = {}
        self._substitutions: list[_Substitution] = []
        self._lock = threading.Lock()
        self.version = (
            bytes(self._open.query("SELECT version()", "TSVRaw").bytes()).decode().strip()
        )

    def create_database(self, name: str) -> None:
        """Create a database if it does not exist. The tables of chDB's own default database have no UUID."""
        self._open.query(
            f"CREATE DATABASE IF NOT EXISTS {_quoted(name, '`')} ENGINE = Atomic", "Null"
        )

    def substitute(self, contains: str, statement: str, times: int) -> None:
        """Run ``statement`` instead of each of the next ``times`` statements that contain a text. For tests."""
        with self._lock:
            self._substitutions.append(_Substitution(contains, statement, times))

    def run(self, call: Call) -> Answer:
        """Run a call. Raises ``RuntimeError`` with the text of ClickHouse's error."""
        statement = self._substituted(call.statement)
        with self._connection(call) as connection:
            if _KILL.match(statement):
                # chDB chooses the ids of queries itself.
                statement = _QUERY_ID.sub("Settings['log_comment']", statement)
            with _input_of(statement, call.data) as runnable:
                result = connection.query(runnable, call.format, params=dict(call.parameters))
            chosen = _FORMAT.search(statement)
            return Answer(
                bytes(result.bytes()),
                (chosen[1] if chosen else call.format) if _HAS_RESULT.match(statement) else None,
                result.rows_read(),
                result.bytes_read(),
                result.elapsed(),
            )

    @contextmanager
    def _connection(self, call: Call) -> Iterator[Any]:
        """Yield a connection with the database, the external tables and the settings of a call."""
        # After `readonly`, no other setting may be set, and a temporary table stays in its connection.
        used_again = not call.tables and "readonly" not in call.settings
        key = (call.database, *sorted(call.settings.items()))
        with self._lock:
            idle = self._idle.setdefault(key, []) if used_again else []
            connection = idle.pop() if idle else None
        if connection is None:
            connection = connect(self._path)
            _prepare(connection, call)
        else:
            _set(connection, {"log_comment": call.query_id})
        try:
            yield connection
        except BaseException:
            used_again = False
            raise
        finally:
            if used_again and _HAS_RESULT.match(call.statement):
                idle.append(connection)
            else:
                connection.close()

    def _substituted(self, statement: str) -> str:
        with self._lock:
            for each in self._substitutions:
                if each.times and each.contains in statement:
                    each.times -= 1
                    return each.statement
        return statement


def _prepare(connection: Any, call: Call) -> None:
    """Set the database, the external tables and the settings of a call."""
    connection.query(f"USE {_quoted(call.database, '`')}", "Null")
    for table in call.tables:
        # As on a server, an external table is a temporary table.
        connection.query(f"CREATE TEMPORARY TABLE {table.name} ({table.structure})", "Null")
        with _input_of(f"INSERT INTO {table.name} FORMAT {table.format}", table.content) as insert:
            connection.query(insert, "Null")
    _set(connection, {"log_comment": call.query_id, **call.settings})


def _set(connection: Any, settings: Mapping[str, str]) -> None:
    ordered = sorted(settings.items(), key=lambda setting: setting[0] == "readonly")
    assignments = ", ".join(f"{name} = {_quoted(value)}" for name, value in ordered)
    connection.query(f"SET {assignments}", "Null")


@contextmanager
def _input_of(statement: str, data: bytes) -> Iterator[str]:
    """Yield a statement that reads its data from a file: this build of chDB cannot be sent data."""
    insert = _INSERT.match(statement)
    if insert is None:
        yield statement if not data else f"{statement}\n{data.decode()}"
        return
    with tempfile.NamedTemporaryFile(prefix="clickhouse-local-") as file:
        file.write(data)
        file.flush()
        yield f"{insert[1]} FROM INFILE {_quoted(file.name)} FORMAT {insert[2]}"


def _quoted(text: str, quote: str = "'") -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return f"{quote}{escaped}{quote}"
