"""Batch load: CSV files of a bucket into a table, by a task that runs by itself."""

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
    """A task and how far it is."""

    asked: Body
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
        """As DescribeBatchLoadTask has it."""
        message = {"ErrorMessage": self.error} if self.error else {}
        shared = (
            "DataSourceConfiguration", "ReportConfiguration", "DataModelConfiguration",
            "TargetDatabaseName", "TargetTableName", "RecordVersion",
        )  # fmt: skip
        return {
            "TaskId": self.id,
            "TaskStatus": self.status,
            "ProgressReport": self.progress,
            "CreationTime": self.created,
            "LastUpdatedTime": time.time(),
            **{name: self.asked[name] for name in shared if name in self.asked},
            **message,
        }


class BatchLoads:
    """The tasks of one server; forgotten when it ends."""

    def __init__(self, catalog: Catalog, store: Store, bucket: Bucket) -> None:
        self._catalog = catalog
        self._store = store
        self._bucket = bucket
        self._tasks: dict[str, Task] = {}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="batch load")

    def create(self, body: Body) -> Body:
        """CreateBatchLoadTask."""
        self._catalog.table(body["TargetDatabaseName"], body["TargetTableName"])
        task = Task(body)
        self._tasks[task.id] = task
        self._threads.submit(self._run, task)
        return {"TaskId": task.id}

    def describe(self, body: Body) -> Body:
        """DescribeBatchLoadTask."""
        return {"BatchLoadTaskDescription": self._task(body).describe()}

    def list(self, body: Body) -> Body:
        """ListBatchLoadTasks, newest first."""
        wanted = body.get("TaskStatus")
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
                if wanted in (None, task["TaskStatus"])
            ]
        }

    def resume(self, body: Body) -> Body:
        """ResumeBatchLoadTask: a task that stopped begins again."""
        task = self._task(body)
        if task.status != "PROGRESS_STOPPED":
            raise invalid(
                f"The task {task.id} is {task.status}; only one that stopped can be resumed."
            )
        task.status = "PENDING_RESUME"
        self._threads.submit(self._run, task)
        return {}

    def _task(self, body: Body) -> Task:
        if body["TaskId"] not in self._tasks:
            raise ServiceError("ResourceNotFoundException", f"There is no task {body['TaskId']}.")
        return self._tasks[body["TaskId"]]

    def _run(self, task: Task) -> None:
        task.status = "IN_PROGRESS"
        try:
            table = self._catalog.table(
                task.asked["TargetDatabaseName"], task.asked["TargetTableName"]
            )
            source = task.asked["DataSourceConfiguration"]["DataSourceS3Configuration"]
            bucket, prefix = source["BucketName"], source.get("ObjectKeyPrefix", "")
            found = False
            for key, content in self._bucket.objects(bucket, prefix):
                found = True
                self._load(task, table, key, content)
            if not found:
                raise invalid(f"There is nothing at s3://{bucket}/{prefix}.")
        except ServiceError as error:
            task.status, task.error = "FAILED", error.message
        except Exception as error:
            # Whatever a file may hold; a task that hung would tell its client nothing.
            task.status, task.error = "FAILED", f"{type(error).__name__}: {error}"
            task.progress["FileFailures"] += 1
        else:
            failed = task.progress["ParseFailures"] + task.progress["RecordIngestionFailures"]
            task.status = "PROGRESS_STOPPED" if failed else "SUCCEEDED"

    def _load(self, task: Task, table: Table, key: str, content: bytes) -> None:
        model = self._model(task.asked["DataModelConfiguration"])
        csv = task.asked["DataSourceConfiguration"].get("CsvConfiguration", {})
        given = pl.read_csv(
            io.BytesIO(content), infer_schema=False, separator=csv.get("ColumnSeparator", ",")
        )
        dimensions, measures = _mappings(model)
        self._catalog.grow(
            table, [to for _, to in dimensions], {to: kind for _, to, kind in measures}
        )
        unit = NANOSECONDS[model.get("TimeUnit", "MILLISECONDS")]
        rows = given.select(
            _instant(model["TimeColumn"], unit).alias("time"),
            _measure_name(model).alias("measure_name"),
            pl.lit(task.asked.get("RecordVersion", 1), pl.Int64).alias(VERSION),
            *(pl.col(column).alias(to) for column, to in dimensions),
            *(_typed(column, kind, unit).alias(to) for column, to, kind in measures),
        )
        rows = _completed(rows, table)
        now = datetime.now(UTC)
        late = rows.filter(
            (pl.col("time") < table.oldest(now).replace(tzinfo=None))
            | (pl.col("time") > now.replace(tzinfo=None))
        )
        taken = (
            rows.join(late, on=["time"], how="anti", maintain_order="left") if len(late) else rows
        )
        last = taken.unique(table.columns.key, keep="last", maintain_order=True)
        refused = (
            self._store.upsert(table.database, table.name, table.columns, last) if len(last) else []
        )
        failures = len(late) + len(refused)
        task.progress["RecordsProcessed"] += len(rows)
        task.progress["RecordsIngested"] += len(rows) - failures
        task.progress["RecordIngestionFailures"] += failures
        task.progress["BytesMetered"] += len(content)
        if failures:
            self._report(task, key, len(late), len(refused))

    def _model(self, configuration: Body) -> Body:
        if "DataModel" in configuration:
            return dict(configuration["DataModel"])
        place = configuration["DataModelS3Configuration"]
        [(_, content)] = self._bucket.objects(place["BucketName"], place["ObjectKey"])
        return dict(json.loads(content))

    def _report(self, task: Task, key: str, late: int, refused: int) -> None:
        place = task.asked["ReportConfiguration"]["ReportS3Configuration"]
        reasons = {"OUTSIDE_RETENTION": late, "VERSION_CONFLICT": refused}
        report = (
            f"{place.get('ObjectKeyPrefix', '')}/{task.id}/{key.rpartition('/')[2]}.json".lstrip(
                "/"
            )
        )
        self._bucket.put(place["BucketName"], report, json.dumps(reasons).encode())


def _mappings(model: Body) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
    """Dimensions (column, name) and measures (column, name, type)."""
    dimensions = [
        (each["SourceColumn"], each.get("DestinationColumn", each["SourceColumn"]))
        for each in model["DimensionMappings"]
    ]
    multi = model.get("MultiMeasureMappings")
    if multi is None:
        [mixed] = model.get("MixedMeasureMappings") or [None]
        if mixed is None or mixed["MeasureValueType"] != "MULTI":
            raise invalid("Only measures of one multi-measure record are loaded here.")
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
    raise invalid("The data model tells no measure name.")


def _instant(column: str, unit: int) -> pl.Expr:
    nanoseconds = pl.col(column).cast(pl.Int64) * unit
    return (nanoseconds // 1000).cast(pl.Datetime("us"))


def _typed(column: str, kind: str, unit: int) -> pl.Expr:
    if kind == "TIMESTAMP":
        return _instant(column, unit)
    if kind == "BOOLEAN":
        return pl.col(column).str.to_lowercase() == "true"
    return pl.col(column).cast(POLARS_TYPES[kind])


def _completed(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    missing = [name for name in table.columns.dimensions if name not in rows.columns]
    return rows.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
