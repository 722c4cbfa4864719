"""Query, CancelQuery, PrepareQuery: a query runs by itself, its answer is taken page by page."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDoneError
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa

from tests.timestream_local.catalog import Catalog
from tests.timestream_local.dialect import transpiled
from tests.timestream_local.protocol import Body, ServiceError, invalid
from tests.timestream_local.scanned import METERED_LEAST, bytes_scanned
from tests.timestream_local.store import Store

ANSWER_SECONDS = 0.5
"""How long a call waits for rows before it answers without any. The service's own time is not documented."""
MOST_ROWS = 1000
PAGE_BYTES = 1_000_000
TOKEN_USES = 5
TOKEN_SECONDS = 3600
_SHOW = re.compile(
    r"\s*SHOW\s+(DATABASES|TABLES(?:\s+FROM\s+\"?([\w.-]+)\"?)?)\s*;?\s*", re.IGNORECASE
)
_DESCRIBE = re.compile(r"\s*DESCRIBE\s+\"?([\w-]+)\"?\.\"?([\w.-]+)\"?\s*;?\s*", re.IGNORECASE)
_SCALARS = {
    pa.types.is_boolean: "BOOLEAN",
    pa.types.is_int64: "BIGINT",
    pa.types.is_integer: "INTEGER",
    pa.types.is_floating: "DOUBLE",
    pa.types.is_decimal: "BIGINT",
    pa.types.is_timestamp: "TIMESTAMP",
    pa.types.is_date: "DATE",
    pa.types.is_time: "TIME",
    pa.types.is_null: "UNKNOWN",
}

Unload = Callable[[str, str, duckdb.DuckDBPyConnection], tuple[pa.Table, int]]
"""Runs an UNLOAD: query id and text to the answer's row and the bytes scanned."""


class Running:
    """One query: its rows when it is done, what it scanned, who asked."""

    def __init__(self, text: str, cursor: duckdb.DuckDBPyConnection) -> None:
        self.id = uuid.uuid4().hex[:26].upper()
        self.text = text
        self.cursor = cursor
        self.answer: Future[tuple[pa.Table, int]]
        self.cancelled = False

    def cancel(self) -> None:
        """Stop it, whatever it is in the middle of."""
        self.cancelled = True
        self.answer.cancel()
        self.cursor.interrupt()


class Queries:
    """All queries that were asked."""

    def __init__(self, catalog: Catalog, store: Store, unload: Unload) -> None:
        self._catalog = catalog
        self._store = store
        self._unload = unload
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="query")
        self._running: dict[str, Running] = {}
        self._by_client_token: dict[str, Running] = {}
        self._uses: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._log: list[Body] = []
        self._cancelled: list[str] = []

    def query(self, body: Body) -> Body:
        """Query: begin one, or take another page of it."""
        most = body.get("MaxRows", MOST_ROWS)
        running, row = self._found(body)
        if running.cancelled:
            raise ServiceError("QueryExecutionException", f"Query {running.id} was cancelled.")
        try:
            table, scanned = running.answer.result(ANSWER_SECONDS)
        except NotDoneError:
            return _page(running, [], [], self._token(running, row), 0, 0.0)
        except CancelledError:
            raise ServiceError(
                "QueryExecutionException", f"Query {running.id} was cancelled."
            ) from None
        except duckdb.Error as error:
            raise invalid(str(error).splitlines()[0]) from None
        columns = [
            {"Name": field.name, "Type": {"ScalarType": _scalar(field.type)}}
            for field in table.schema
        ]
        rows = _rows(table.slice(row, most))
        following = row + len(rows)
        onward = self._token(running, following) if following < len(table) else None
        progress = 100.0 * following / len(table) if len(table) else 100.0
        return _page(running, rows, columns, onward, scanned, progress)

    def still_running(self, body: Body) -> Body:
        """Query, answered as if it took its time."""
        running, row = self._found(body)
        return _page(running, [], [], self._token(running, row), 0, 0.0)

    def cancel_query(self, body: Body) -> Body:
        """CancelQuery; one that is done already stays as it is."""
        running = self._running.get(body["QueryId"])
        if running is None:
            raise invalid(f"There is no query {body['QueryId']}.")
        with self._lock:
            self._cancelled.append(running.text)
        if not running.answer.done():
            running.cancel()
        return {"CancellationMessage": f"Query {running.id} is cancelled."}

    def prepare_query(self, body: Body) -> Body:
        """PrepareQuery: checks, and says which columns the answer has."""
        text = body["QueryString"]
        cursor = self._store.cursor()
        try:
            sql = transpiled(text, self._catalog).sql("duckdb")
            answer: pa.Table = cursor.execute(f"SELECT * FROM ({sql}) LIMIT 0").to_arrow_table()
        except duckdb.Error as error:
            raise invalid(str(error).splitlines()[0]) from None
        columns = [
            {"Name": field.name, "Type": {"ScalarType": _scalar(field.type)}, "Aliased": False}
            for field in answer.schema
        ]
        return {"QueryString": text, "Columns": columns, "Parameters": []}

    def log(self) -> list[Body]:
        """The queries that were answered since the last look: text, rows, bytes."""
        with self._lock:
            told, self._log = self._log, []
        return told

    def cancelled(self) -> list[str]:
        """The texts of the queries that somebody asked to be cancelled, since the last look."""
        with self._lock:
            told, self._cancelled = self._cancelled, []
        return told

    def _found(self, body: Body) -> tuple[Running, int]:
        """The query that a call begins or goes on with, and the row it has come to."""
        text, token = body["QueryString"], body.get("NextToken")
        if token is None:
            return self._begin(text, body.get("ClientToken")), 0
        return self._continued(token, text)

    def _begin(self, text: str, client_token: str | None) -> Running:
        with self._lock:
            known = self._by_client_token.get(client_token) if client_token else None
            if known is not None:
                if known.text != text:
                    raise ServiceError(
                        "ConflictException", "ClientToken was used with another query."
                    )
                return known
            running = Running(text, self._store.cursor())
            running.answer = self._threads.submit(self._run, running)
            self._running[running.id] = running
            if client_token:
                self._by_client_token[client_token] = running
        return running

    def _run(self, running: Running) -> tuple[pa.Table, int]:
        table, scanned = self._answer(running)
        with self._lock:
            self._log.append(
                {
                    "text": running.text,
                    "rows": len(table),
                    "bytes_scanned": scanned,
                    "bytes_metered": max(scanned, METERED_LEAST),
                }
            )
        return table, scanned

    def _answer(self, running: Running) -> tuple[pa.Table, int]:
        show, describe = _SHOW.fullmatch(running.text), _DESCRIBE.fullmatch(running.text)
        if show:
            names = self._catalog.names(show[2] if show[2] else None)
            return pa.table({"Table" if show[2] else "Database": names}), 0
        if describe:
            return self._described(describe[1], describe[2]), 0
        if running.text.lstrip()[:6].upper() == "UNLOAD":
            return self._unload(running.id, running.text, running.cursor)
        query = transpiled(running.text, self._catalog)
        scanned = bytes_scanned(query, self._catalog, running.cursor)
        return running.cursor.execute(query.sql("duckdb")).to_arrow_table(), scanned

    def _described(self, database: str, name: str) -> pa.Table:
        columns = self._catalog.table(database, name).columns
        rows = [(dimension, "varchar", "DIMENSION") for dimension in columns.dimensions]
        rows += [("measure_name", "varchar", "MEASURE_NAME"), ("time", "timestamp", "TIMESTAMP")]
        rows += [(m, kind.lower(), "MEASURE_VALUE") for m, kind in columns.measures.items()]
        attribute = "Timestream attribute type"
        return pa.table(
            dict(zip(("Column", "Type", attribute), zip(*rows, strict=True), strict=True))
        )

    def _token(self, running: Running, row: int) -> str:
        told = {"query": running.id, "row": row, "made": time.time(), "nonce": uuid.uuid4().hex}
        return base64.urlsafe_b64encode(json.dumps(told).encode()).decode()

    def _continued(self, token: str, text: str) -> tuple[Running, int]:
        try:
            told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token))
            running = self._running[told["query"]]
        except (ValueError, KeyError):
            raise invalid("The NextToken is not valid.") from None
        with self._lock:
            self._uses[token] += 1
            used_up = self._uses[token] > TOKEN_USES
        if running.text != text or used_up or time.time() - told["made"] > TOKEN_SECONDS:
            raise invalid("The NextToken is not valid for this query, or no longer.")
        return running, told["row"]


def _page(
    running: Running,
    rows: list[Body],
    columns: list[Body],
    token: str | None,
    scanned: int,
    progress: float,
) -> Body:
    onward = {"NextToken": token} if token else {}
    return {
        "QueryId": running.id,
        "Rows": rows,
        # While it runs the service may know its columns; a client must not need them before there are rows.
        "ColumnInfo": columns,
        "QueryStatus": {
            "ProgressPercentage": progress,
            "CumulativeBytesScanned": scanned,
            "CumulativeBytesMetered": max(scanned, METERED_LEAST),
        },
        **onward,
    }


def _scalar(kind: pa.DataType) -> str:
    return next((scalar for is_kind, scalar in _SCALARS.items() if is_kind(kind)), "VARCHAR")


def _rows(table: pa.Table) -> list[Body]:
    """Rows as the service writes them, at most a megabyte."""
    columns = [_texts(pl.Series(table.column(place))) for place in range(table.num_columns)]
    rows: list[Body] = []
    size = 0
    for values in zip(*columns, strict=True):
        data = [
            {"NullValue": True} if value is None else {"ScalarValue": value} for value in values
        ]
        size += sum(len(value or "") + 24 for value in values)
        if rows and size > PAGE_BYTES:
            break
        rows.append({"Data": data})
    return rows


def _texts(values: pl.Series) -> list[str | None]:
    """Every value a text: timestamps with nine decimals, doubles so that they read back the same."""
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.strftime("%Y-%m-%d %H:%M:%S%.6f000").to_list()
    if values.dtype == pl.Boolean:
        return [None if value is None else str(value).lower() for value in values]
    if values.dtype.is_float():
        return [None if value is None else repr(value) for value in values]
    return [None if value is None else str(value) for value in values]
