"""Calls to one ClickHouse server: queries, inserts and commands, with time limits and cancellation."""

from __future__ import annotations

import io
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import polars as pl

from readings.cancellation import raise_if_cancelled
from readings.repositories.clickhouse.address import ClickHouseAddress
from readings.repositories.clickhouse.errors import translate_errors
from readings.repositories.clickhouse.query import Query
from readings.repository_errors import RepositoryUnavailableError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client as HttpClient

log = logging.getLogger(__name__)

MIN_VERSION = (24, 8)
"""The oldest version that is accepted: the oldest long-term support release that had updates in 2025."""
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 60
"""A call fails if the server sends nothing for this time. While a query runs, it sends its progress more often."""
QUERY_SECONDS = 600
"""The server ends a query after this time. Callers usually cancel it earlier, see ``readings.cancellation``."""
_CHECK_SECONDS = 0.1
_THREADS = 64
_KILLING_THREADS = 2
_QUERIES_AHEAD = 2
_SETTINGS = {
    "max_execution_time": QUERY_SECONDS,
    # A day is a partition, so readings of two partitions never have the same key.
    "do_not_merge_across_partitions_select_final": 1,
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_compression_method": "lz4_frame",
    # Readings must be visible when a write has returned.
    "async_insert": 0,
    # A null must not become 0 in a column without nulls.
    "input_format_null_as_default": 0,
    # With replicas, every replica shows a write that has returned. Without replicas, these have no effect.
    "insert_quorum": "auto",
    "insert_quorum_parallel": 0,
    "select_sequential_consistency": 1,
    "distributed_foreground_insert": 1,
    # A subquery of all shards is computed once, and not by each shard for itself.
    "distributed_product_mode": "global",
    # A file of one meter may have readings of many days.
    "max_partitions_per_insert_block": 0,
}

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Running(Generic[Result]):
    query_id: str
    result: Future[Result]


class Client:
    """The connection to a server, shared by all threads. It is opened by the first call.

    All methods raise :class:`RepositoryUnavailableError` if the server cannot be reached or refuses the call.
    """

    def __init__(self, address: ClickHouseAddress) -> None:
        self._address = address
        self._lock = Lock()
        self._http: HttpClient | None = None

    def frame(self, query: Query, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """Return the result of a query; ``schema`` names its columns in order."""
        return self._finish(self._start(self._query_call(query, schema)))

    def frames(
        self, queries: Iterable[Query], schema: Mapping[str, pl.DataType]
    ) -> Iterator[pl.DataFrame]:
        """Yield the results of queries in order. While the caller uses one, the next ones run."""
        remaining = iter(queries)
        running: deque[_Running[pl.DataFrame]] = deque()
        try:
            while True:
                for query in islice(remaining, _QUERIES_AHEAD - len(running)):
                    running.append(self._start(self._query_call(query, schema)))
                if not running:
                    return
                yield self._finish(running.popleft())
        finally:
            for each in running:
                self._abandon(each)

    def _query_call(
        self, query: Query, schema: Mapping[str, pl.DataType]
    ) -> Callable[[str], pl.DataFrame]:
        http = self._connection()

        def call(query_id: str) -> pl.DataFrame:
            content = http.raw_query(
                query.text,
                dict(query.parameters),
                settings={**query.settings, "query_id": query_id},
                fmt="ArrowStream",
                external_data=_external_tables(query.tables),
            )
            result = pl.read_ipc_stream(content)
            result.columns = list(schema)
            return result if result.schema == schema else result.cast(pl.Schema(schema))

        return call

    def command(self, query: Query) -> None:
        """Run a statement that has no result."""
        http = self._connection()

        def call(query_id: str) -> None:
            http.raw_query(query.text, dict(query.parameters), settings={"query_id": query_id})

        self._finish(self._start(call))

    def insert(self, table: str, rows: pl.DataFrame) -> None:
        """Insert rows. ``table`` is a quoted name. The rows of each partition become visible at once."""
        http, content = self._connection(), _arrow(rows)

        def call(query_id: str) -> None:
            http.raw_insert(
                table,
                rows.columns,
                content,
                # One block, so that the readings of a day are one part.
                settings={
                    "query_id": query_id,
                    "min_insert_block_size_rows": max(len(rows), 1),
                    "min_insert_block_size_bytes": 0,
                },
                fmt="ArrowStream",
            )

        self._finish(self._start(call))

    def _connection(self) -> HttpClient:
        raise_if_cancelled()
        with self._lock:
            if self._http is None:
                with translate_errors(self._address):
                    self._http = self._connect()
            return self._http

    def _connect(self) -> HttpClient:
        # Imported here: it takes 0.3 s, and a deployment that uses another engine does not need it.
        import clickhouse_connect

        # Each error is reported once, by the caller.
        for library in ("clickhouse_connect", "urllib3.connectionpool"):
            logging.getLogger(library).setLevel(logging.ERROR)
        address = self._address
        http = clickhouse_connect.get_client(
            interface="https" if address.secure else "http",
            host=address.host,
            port=address.port,
            username=address.user,
            password=address.password,
            database=address.database,
            ca_cert=address.ca_cert,
            settings=_SETTINGS,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            send_receive_timeout=READ_TIMEOUT_SECONDS,
            # Threads share the client, and queries of one session cannot run at the same time.
            autogenerate_session_id=False,
            client_name="headend",
            compress=False,
        )
        _refuse_old_server(http.server_version)
        return http

    def _start(self, call: Callable[[str], Result]) -> _Running[Result]:
        """Start ``call`` in a thread. It gets the id of its query."""
        query_id = str(uuid.uuid4())

        def translated() -> Result:
            with translate_errors(self._address):
                return call(query_id)

        return _Running(query_id, self._threads.submit(translated))

    def _finish(self, running: _Running[Result]) -> Result:
        """Return the result of a call. If the caller no longer needs it, or if the call fails, its query is killed."""
        try:
            while not wait([running.result], _CHECK_SECONDS).done:
                raise_if_cancelled()
            return running.result.result()
        except BaseException:
            self._abandon(running)
            raise

    def _abandon(self, running: _Running[Result]) -> None:
        """Kill the query of a call. Its thread then ends too."""
        self._killing_threads.submit(self._kill, running.query_id)

    def _kill(self, query_id: str) -> None:
        try:
            with translate_errors(self._address):
                self._connection().raw_query(
                    "KILL QUERY WHERE query_id = {id:String}", {"id": query_id}
                )
        except RepositoryUnavailableError as error:
            # The query has ended, or ends after QUERY_SECONDS.
            log.info("could not cancel a query", extra={"query": query_id, "error": str(error)})

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix="clickhouse")

    @cached_property
    def _killing_threads(self) -> ThreadPoolExecutor:
        # Separate threads: all others may be busy with queries that must be killed.
        return ThreadPoolExecutor(_KILLING_THREADS, thread_name_prefix="clickhouse kill")


def _refuse_old_server(version: str | None) -> None:
    numbers = tuple(int(part) for part in (version or "").split(".")[:2] if part.isdigit())
    if numbers < MIN_VERSION:
        oldest = ".".join(str(number) for number in MIN_VERSION)
        raise RepositoryUnavailableError(
            f"The server is ClickHouse {version}; headend needs {oldest} or newer. Upgrade the server."
        )


def _arrow(rows: pl.DataFrame) -> bytes:
    """Return rows in Arrow's stream format, with types that ClickHouse reads."""
    content = io.BytesIO()
    rows.rechunk().write_ipc_stream(
        content, compression="lz4", compat_level=pl.CompatLevel.oldest()
    )
    return content.getvalue()


def _external_tables(tables: Mapping[str, tuple[str, pl.DataFrame]]) -> Any:
    from clickhouse_connect.driver.external import ExternalData

    sent = ExternalData()
    for name, (structure, rows) in tables.items():
        sent.add_file(file_name=name, data=_arrow(rows), fmt="ArrowStream", structure=structure)
    return sent if tables else None
