"""The operations of both services of Timestream, by name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from tests.timestream_local.batch_load import BatchLoads
from tests.timestream_local.bucket import Bucket
from tests.timestream_local.catalog import Catalog
from tests.timestream_local.protocol import Body, ServiceError, validate
from tests.timestream_local.queries import Queries
from tests.timestream_local.records import RecordWriter
from tests.timestream_local.store import Store
from tests.timestream_local.unload import Unloader

Operation = Callable[[Body], Body]

STILL_RUNNING = "StillRunning"
"""Not an error: an empty page, as for a query that is still running."""


class Service:
    """Both services of Timestream."""

    def __init__(self, folder: Path | None, s3_endpoint: str | None) -> None:
        store = Store(folder)
        catalog = Catalog(store, folder)
        bucket = Bucket(s3_endpoint)
        self.queries = Queries(catalog, store, Unloader(catalog, bucket).run)
        records = RecordWriter(catalog, store)
        loads = BatchLoads(catalog, store, bucket)
        self._failures: dict[str, list[str]] = {}
        self._lock = threading.Lock()
        self._operations: dict[str, Operation] = {
            "CreateDatabase": catalog.create_database,
            "DescribeDatabase": catalog.describe_database,
            "DeleteDatabase": catalog.delete_database,
            "ListDatabases": catalog.list_databases,
            "CreateTable": catalog.create_table,
            "DescribeTable": catalog.describe_table,
            "UpdateTable": catalog.update_table,
            "DeleteTable": catalog.delete_table,
            "ListTables": catalog.list_tables,
            "WriteRecords": records.write_records,
            "CreateBatchLoadTask": loads.create,
            "DescribeBatchLoadTask": loads.describe,
            "ListBatchLoadTasks": loads.list,
            "ResumeBatchLoadTask": loads.resume,
            "Query": self.queries.query,
            "CancelQuery": self.queries.cancel_query,
            "PrepareQuery": self.queries.prepare_query,
            "TagResource": lambda body: {},
            "UntagResource": lambda body: {},
            "ListTagsForResource": lambda body: {"Tags": []},
        }

    def call(self, target: str, body: object, *, endpoint: str) -> Body:
        """Return the response to a call. Raises :class:`ServiceError`."""
        name, parameters = validate(target, body)
        if name == "DescribeEndpoints":
            return {"Endpoints": [{"Address": endpoint, "CachePeriodInMinutes": 1440}]}
        failure = self._next_failure(name)
        if failure == STILL_RUNNING:
            return self.queries.still_running(parameters)
        if failure is not None:
            raise ServiceError(failure, f"{name} fails because a test wants it to.")
        operation = self._operations.get(name)
        if operation is None:
            raise ServiceError(
                "UnknownOperationException", f"{name} is not supported by the local Timestream."
            )
        return operation(parameters)

    def fail(self, operation: str, code: str, times: int) -> None:
        """Let the next ``times`` calls of an operation fail with ``code``, which may be :data:`STILL_RUNNING`."""
        with self._lock:
            self._failures[operation] = [code] * times

    def _next_failure(self, operation: str) -> str | None:
        with self._lock:
            failures = self._failures.get(operation)
            return failures.pop() if failures else None
