"""Batch load: background tasks that load CSV files from a bucket into a table."""

from __future__ import annotations

import io
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from tests.timestream_local.bucket import Bucket
from tests.timestream_local.catalog import Catalog, Table
from tests.timestream_local.protocol import Body, ServiceError, invalid
from tests.timestream_local.records import NANOSECONDS, POLARS_TYPES
from tests.timestream_local.store import VERSION, Store


@dataclass
class Task:
    """A batch load task and its progress."""

    parameters: Body
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:26].upper())
    created: float = field(default_factory=time.time)
    status: str = "CREATED"
    error: str | None = None
    progress: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("RecordsProcessed", "RecordsIngested", "ParseFailures", "RecordIngestionFailures",
             "FileFailures", "BytesMetered"), 0,
        )
    )  # fmt: skip

    def describe(self) -> Body:
        """Return the task in the form of DescribeBatchLoadTask."""
        message = {"ErrorMessage": self.error} if self.error else {}
        copied = (
            "DataSourceConfiguration", "ReportConfiguration", "DataModelConfiguration",
            "TargetDatabaseName", "TargetTableName", "RecordVersion",
        )  # fmt: skip
        return {
            "TaskId": self.id,
            "TaskStatus": self.status,
            "ProgressReport": self.progress,
            "CreationTime": self.created,
            "LastUpdatedTime": time.time(),
            **{name: self.parameters[name] for name in copied if name in self.parameters},
            **message,
        }


class BatchLoads:
    """The tasks of one server. They are lost when it stops."""

    def __init__(self, catalog: Catalog, store: Store, bucket: Bucket) -> None:
        self._catalog = catalog
        self._store = store
        self._bucket = bucket
        self._tasks: dict[str, Task] = {}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="batch load")

    def create(self, body: Body) -> Body:
        """Answer CreateBatchLoadTask: start a task."""
        self._catalog.table(body["TargetDatabaseName"], body["TargetTableName"])
        task = Task(body)
        self._tasks[task.id] = task
        self._threads.submit(self._run, task)
        return {"TaskId": task.id}

    def describe(self, body: Body) -> Body:
        """Answer DescribeBatchLoadTask."""
        return {"BatchLoadTaskDescription": self._task(body).describe()}

    def list(self, body: Body) -> Body:
        """Answer ListBatchLoadTasks, newest first."""
        status = body.get("TaskStatus")
        names = ("TaskId", "TaskStatus", "CreationTime", "LastUpdatedTime")
        tasks = [task.describe() for task in reversed(self._tasks.values())]
        return {
            "BatchLoadTasks": [
                {name: task[name] for name in names}
                | {
                    "DatabaseName": task["TargetDatabaseName"],
                    "TableName": task["TargetTableName"],
                }
                for task in tasks
                if status in (None, task["TaskStatus"])
            ]
        }

    def resume(self, body: Body) -> Body:
        """Answer ResumeBatchLoadTask: start a stopped task again."""
        task = self._task(body)
        if task.status != "PROGRESS_STOPPED":
            raise invalid(
                f"The task {task.id} is {task.status}; only a stopped task can be resumed."
            )
        task.status = "PENDING_RESUME"
        self._threads.submit(self._run, task)
        return {}

    def _task(self, body: Body) -> Task:
        if body["TaskId"] not in self._tasks:
            raise ServiceError(
                "ResourceNotFoundException", f"The task {body['TaskId']} does not exist."
            )
        return self._tasks[body["TaskId"]]

    def _run(self, task: Task) -> None:
        task.status = "IN_PROGRESS"
        try:
            table = self._catalog.table(
                task.parameters["TargetDatabaseName"], task.parameters["TargetTableName"]
            )
            source = task.parameters["DataSourceConfiguration"]["DataSourceS3Configuration"]
            bucket, prefix = source["BucketName"], source.get("ObjectKeyPrefix", "")
            found = False
            for key, content in self._bucket.objects(bucket, prefix):
                found = True
                self._load(task, table, key, content)
            if not found:
                raise invalid(f"There are no objects at s3://{bucket}/{prefix}.")
        except ServiceError as error:
            task.status, task.error = "FAILED", error.message
        except Exception as error:
            # A file can cause any error. If the status did not change, the client would wait without end.
            task.status, task.error = "FAILED", f"{type(error).__name__}: {error}"
            task.progress["FileFailures"] += 1
        else:
            failed = task.progress["ParseFailures"] + task.progress["RecordIngestionFailures"]
            task.status = "PROGRESS_STOPPED" if failed else "SUCCEEDED"

    def _load(self, task: Task, table: Table, key: str, content: bytes) -> None:
        model = self._model(task.parameters["DataModelConfiguration"])
        csv = task.parameters["DataSourceConfiguration"].get("CsvConfiguration", {})
        loaded = pl.read_csv(
            io.BytesIO(content), infer_schema=False, separator=csv.get("ColumnSeparator", ",")
        )
        dimensions, measures = _mappings(model)
        self._catalog.add_columns(
            table, [to for _, to in dimensions], {to: kind for _, to, kind in measures}
        )
        unit = NANOSECONDS[model.get("TimeUnit", "MILLISECONDS")]
        rows = loaded.select(
            _instant(model["TimeColumn"], unit).alias("time"),
            _measure_name(model).alias("measure_name"),
            pl.lit(task.parameters.get("RecordVersion", 1), pl.Int64).alias(VERSION),
            *(pl.col(column).alias(to) for column, to in dimensions),
            *(_typed(column, kind, unit).alias(to) for column, to, kind in measures),
        )
        rows = _with_all_dimensions(rows, table)
        now = datetime.now(UTC)
        outside = rows.filter(
            (pl.col("time") < table.oldest(now).replace(tzinfo=None))
            | (pl.col("time") > now.replace(tzinfo=None))
        )
        accepted = (
            rows.join(outside, on=["time"], how="anti", maintain_order="left")
            if len(outside)
            else rows
        )
        last = accepted.unique(table.columns.key, keep="last", maintain_order=True)
        rejected = (
            self._store.upsert(table.database, table.name, table.columns, last) if len(last) else []
        )
        failures = len(outside) + len(rejected)
        task.progress["RecordsProcessed"] += len(rows)
        task.progress["RecordsIngested"] += len(rows) - failures
        task.progress["RecordIngestionFailures"] += failures
        task.progress["BytesMetered"] += len(content)
        if failures:
            self._report(task, key, len(outside), len(rejected))

    def _model(self, configuration: Body) -> Body:
        if "DataModel" in configuration:
            return dict(configuration["DataModel"])
        location = configuration["DataModelS3Configuration"]
        [(_, content)] = self._bucket.objects(location["BucketName"], location["ObjectKey"])
        return dict(json.loads(content))

    def _report(self, task: Task, key: str, outside: int, rejected: int) -> None:
        location = task.parameters["ReportConfiguration"]["ReportS3Configuration"]
        reasons = {"OUTSIDE_RETENTION": outside, "VERSION_CONFLICT": rejected}
        report = (
            f"{location.get('ObjectKeyPrefix', '')}/{task.id}/{key.rpartition('/')[2]}.json".lstrip(
                "/"
            )
        )
        self._bucket.put(location["BucketName"], report, json.dumps(reasons).encode())


def _mappings(model: Body) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
    """Return dimensions as (column, name) and measures as (column, name, type)."""
    dimensions = [
        (each["SourceColumn"], each.get("DestinationColumn", each["SourceColumn"]))
        for each in model["DimensionMappings"]
    ]
    multi = model.get("MultiMeasureMappings")
    if multi is None:
        [mixed] = model.get("MixedMeasureMappings") or [None]
        if mixed is None or mixed["MeasureValueType"] != "MULTI":
            raise invalid("The local Timestream loads only measures of one multi-measure record.")
        multi = mixed
    measures = [
        (
            each["SourceColumn"],
            each.get("TargetMultiMeasureAttributeName", each["SourceColumn"]),
            each.get("MeasureValueType", "DOUBLE"),
        )
        for each in multi["MultiMeasureAttributeMappings"]
    ]
    return dimensions, measures


def _measure_name(model: Body) -> pl.Expr:
    multi: Body = model.get("MultiMeasureMappings") or model["MixedMeasureMappings"][0]
    for member in ("TargetMultiMeasureName", "TargetMeasureName", "MeasureName"):
        if member in multi:
            return pl.lit(multi[member])
    if "MeasureNameColumn" in model:
        return pl.col(model["MeasureNameColumn"])
    raise invalid("The data model has no measure name.")


def _instant(column: str, unit: int) -> pl.Expr:
    nanoseconds = pl.col(column).cast(pl.Int64) * unit
    return (nanoseconds // 1000).cast(pl.Datetime("us"))


def _typed(column: str, kind: str, unit: int) -> pl.Expr:
    if kind == "TIMESTAMP":
        return _instant(column, unit)
    if kind == "BOOLEAN":
        return pl.col(column).str.to_lowercase() == "true"
    return pl.col(column).cast(POLARS_TYPES[kind])


def _with_all_dimensions(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    missing = [name for name in table.columns.dimensions if name not in rows.columns]
    return rows.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
