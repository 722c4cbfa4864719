"""Query, CancelQuery and PrepareQuery: queries run in the background, and clients fetch the result by page."""

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
from tests.timestream_local.dialect import translate
from tests.timestream_local.protocol import Body, ServiceError, invalid
from tests.timestream_local.scanned_bytes import MIN_METERED_BYTES, count_scanned_bytes
from tests.timestream_local.store import Store

WAIT_SECONDS = 0.5
"""How long a call waits for rows before it returns an empty page. AWS does not document its own time."""
MAX_ROWS = 1000
MAX_CHARACTERS = 262_144
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
"""Runs an UNLOAD, from query id and text; returns the row of the response and the scanned bytes."""


class RunningQuery:
    """One query, and its result when it is finished."""

    def __init__(self, text: str, cursor: duckdb.DuckDBPyConnection) -> None:
        self.id = uuid.uuid4().hex[:26].upper()
        self.text = text
        self.cursor = cursor
        self.answer: Future[tuple[pa.Table, int]]
        self.cancelled = False

    def cancel(self) -> None:
        """Stop the query."""
        self.cancelled = True
        self.answer.cancel()
        self.cursor.interrupt()


class Queries:
    """The queries of one server."""

    def __init__(self, catalog: Catalog, store: Store, unload: Unload) -> None:
        self._catalog = catalog
        self._store = store
        self._unload = unload
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="query")
        self._running: dict[str, RunningQuery] = {}
        self._by_client_token: dict[str, RunningQuery] = {}
        self._uses: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._log: list[Body] = []
        self._cancelled: list[str] = []

    def query(self, body: Body) -> Body:
        """Answer Query: start a query, or return the next page of its result."""
        max_rows = body.get("MaxRows", MAX_ROWS)
        if len(body["QueryString"]) > MAX_CHARACTERS:
            raise invalid(f"The query has more than {MAX_CHARACTERS:,} characters.")
        running, row = self._query_of(body)
        if running.cancelled:
            raise ServiceError("QueryExecutionException", f"Query {running.id} was cancelled.")
        try:
            table, scanned = running.answer.result(WAIT_SECONDS)
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
        rows = _rows(table.slice(row, max_rows))
        following = row + len(rows)
        token = self._token(running, following) if following < len(table) else None
        progress = 100.0 * following / len(table) if len(table) else 100.0
        return _page(running, rows, columns, token, scanned, progress)

    def still_running(self, body: Body) -> Body:
        """Answer Query as if the query were still running."""
        running, row = self._query_of(body)
        return _page(running, [], [], self._token(running, row), 0, 0.0)

    def cancel_query(self, body: Body) -> Body:
        """Answer CancelQuery. A finished query is not changed."""
        running = self._running.get(body["QueryId"])
        if running is None:
            raise invalid(f"The query {body['QueryId']} does not exist.")
        with self._lock:
            self._cancelled.append(running.text)
        if not running.answer.done():
            running.cancel()
        return {"CancellationMessage": f"Query {running.id} is cancelled."}

    def prepare_query(self, body: Body) -> Body:
        """Answer PrepareQuery: validate the query and return the columns of its result."""
        text = body["QueryString"]
        cursor = self._store.cursor()
        try:
            sql = translate(text, self._catalog).sql
            answer: pa.Table = cursor.execute(f"SELECT * FROM ({sql}) LIMIT 0").to_arrow_table()
        except duckdb.Error as error:
            raise invalid(str(error).splitlines()[0]) from None
        columns = [
            {"Name": field.name, "Type": {"ScalarType": _scalar(field.type)}, "Aliased": False}
            for field in answer.schema
        ]
        return {"QueryString": text, "Columns": columns, "Parameters": []}

    def log(self) -> list[Body]:
        """Return the queries that finished since the last call: text, rows, bytes."""
        with self._lock:
            finished, self._log = self._log, []
        return finished

    def cancelled(self) -> list[str]:
        """Return the texts of the queries that clients cancelled since the last call."""
        with self._lock:
            texts, self._cancelled = self._cancelled, []
        return texts

    def _query_of(self, body: Body) -> tuple[RunningQuery, int]:
        """Return the query that a call starts or continues, and the first row of its page."""
        text, token = body["QueryString"], body.get("NextToken")
        if token is None:
            return self._start(text, body.get("ClientToken")), 0
        return self._continued(token, text)

    def _start(self, text: str, client_token: str | None) -> RunningQuery:
        with self._lock:
            known = self._by_client_token.get(client_token) if client_token else None
            if known is not None:
                if known.text != text:
                    raise ServiceError(
                        "ConflictException", "ClientToken was used with another query."
                    )
                return known
            running = RunningQuery(text, self._store.cursor())
            running.answer = self._threads.submit(self._run, running)
            self._running[running.id] = running
            if client_token:
                self._by_client_token[client_token] = running
        return running

    def _run(self, running: RunningQuery) -> tuple[pa.Table, int]:
        table, scanned = self._answer(running)
        with self._lock:
            self._log.append(
                {
                    "text": running.text,
                    "rows": len(table),
                    "bytes_scanned": scanned,
                    "bytes_metered": max(scanned, MIN_METERED_BYTES),
                }
            )
        return table, scanned

    def _answer(self, running: RunningQuery) -> tuple[pa.Table, int]:
        show, describe = _SHOW.fullmatch(running.text), _DESCRIBE.fullmatch(running.text)
        if show:
            names = self._catalog.names(show[2] if show[2] else None)
            return pa.table({"Table" if show[2] else "Database": names}), 0
        if describe:
            return self._described(describe[1], describe[2]), 0
        if running.text.lstrip()[:6].upper() == "UNLOAD":
            return self._unload(running.id, running.text, running.cursor)
        query = translate(running.text, self._catalog)
        scanned = count_scanned_bytes(query, self._catalog, running.cursor)
        return running.cursor.execute(query.sql).to_arrow_table(), scanned

    def _described(self, database: str, name: str) -> pa.Table:
        columns = self._catalog.table(database, name).columns
        rows = [(dimension, "varchar", "DIMENSION") for dimension in columns.dimensions]
        rows += [("measure_name", "varchar", "MEASURE_NAME"), ("time", "timestamp", "TIMESTAMP")]
        rows += [(m, kind.lower(), "MEASURE_VALUE") for m, kind in columns.measures.items()]
        attribute = "Timestream attribute type"
        return pa.table(
            dict(zip(("Column", "Type", attribute), zip(*rows, strict=True), strict=True))
        )

    def _token(self, running: RunningQuery, row: int) -> str:
        content = {"query": running.id, "row": row, "made": time.time(), "nonce": uuid.uuid4().hex}
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()

    def _continued(self, token: str, text: str) -> tuple[RunningQuery, int]:
        try:
            content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token))
            running = self._running[content["query"]]
        except (ValueError, KeyError):
            raise invalid("The NextToken is not valid.") from None
        with self._lock:
            self._uses[token] += 1
            used_too_often = self._uses[token] > TOKEN_USES
        if running.text != text or used_too_often or time.time() - content["made"] > TOKEN_SECONDS:
            raise invalid("The NextToken is not valid for this query or has expired.")
        return running, content["row"]


def _page(
    running: RunningQuery,
    rows: list[Body],
    columns: list[Body],
    token: str | None,
    scanned: int,
    progress: float,
) -> Body:
    return {
        "QueryId": running.id,
        "Rows": rows,
        # AWS may already return columns here. A client must not rely on them before there are rows.
        "ColumnInfo": columns,
        "QueryStatus": {
            "ProgressPercentage": progress,
            "CumulativeBytesScanned": scanned,
            "CumulativeBytesMetered": max(scanned, MIN_METERED_BYTES),
        },
        **({"NextToken": token} if token else {}),
    }


def _scalar(kind: pa.DataType) -> str:
    return next((scalar for is_kind, scalar in _SCALARS.items() if is_kind(kind)), "VARCHAR")


def _rows(table: pa.Table) -> list[Body]:
    """Return rows in the form of the service, at most one megabyte."""
    columns = [_texts(pl.Series(table.column(index))) for index in range(table.num_columns)]
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
    """Return all values as text: timestamps with nine decimals, doubles without loss."""
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.strftime("%Y-%m-%d %H:%M:%S%.6f000").to_list()
    if values.dtype == pl.Boolean:
        return [None if value is None else str(value).lower() for value in values]
    if values.dtype.is_float():
        return [None if value is None else repr(value) for value in values]
    return [None if value is None else str(value) for value in values]
