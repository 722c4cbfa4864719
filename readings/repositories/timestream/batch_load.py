"""Many readings at once: as a CSV file in the bucket, which Timestream loads by itself."""

from __future__ import annotations

import tempfile
import time
import uuid
from typing import Any

import polars as pl

from readings import frame
from readings.repositories.base import ReadingsRefusedError
from readings.repositories.cancellation import still_wanted
from readings.repositories.timestream.address import Address
from readings.repositories.timestream.clients import Clients, telling_what_failed
from readings.repositories.timestream.records import MEASURES

LOADS = "loads"
"""Below the bucket's prefix, where files wait to be loaded and reports of failures lie."""
_PAUSES = (0.2, 5.0)
_RUNNING = {"CREATED", "IN_PROGRESS", "PENDING_RESUME"}
_MODEL = {
    "TimeColumn": "time",
    "TimeUnit": "MICROSECONDS",
    "DimensionMappings": [{"SourceColumn": "device_id", "DestinationColumn": "device_id"}],
    "MultiMeasureMappings": {
        "TargetMultiMeasureName": frame.MEASURE_NAME,
        "MultiMeasureAttributeMappings": [
            {"SourceColumn": name, "MeasureValueType": kind} for name, kind in MEASURES.items()
        ],
    },
}


class BatchLoader:
    """Loads readings into one table by way of its bucket."""

    def __init__(self, address: Address, clients: Clients) -> None:
        self._address = address
        self._clients = clients

    def write(self, readings: pl.DataFrame, *, version: int) -> None:
        """Load all of the readings, and come back when they are in the table.

        Raises :class:`ReadingsRefusedError` when the service could not load some of them, and
        :class:`RepositoryUnavailableError`.
        """
        key = self._address.key(LOADS, f"{uuid.uuid4()}.csv")
        try:
            self._upload(readings, key)
            task = self._create(key, version)
            self._wait(task, len(readings))
        finally:
            with telling_what_failed():
                self._clients.s3.delete_object(Bucket=self._address.bucket_name, Key=key)

    def _upload(self, readings: pl.DataFrame, key: str) -> None:
        epochs = [pl.col("time").dt.epoch("us"), pl.col("arrival_time").dt.epoch("us")]
        with tempfile.TemporaryFile() as file, telling_what_failed():
            readings.drop("measure_name").with_columns(epochs).write_csv(file)
            file.seek(0)
            self._clients.s3.upload_fileobj(file, self._address.bucket_name, key)

    def _create(self, key: str, version: int) -> str:
        with telling_what_failed():
            answer = self._clients.control.create_batch_load_task(
                TargetDatabaseName=self._address.database,
                TargetTableName=self._address.table,
                DataModelConfiguration={"DataModel": _MODEL},
                DataSourceConfiguration={
                    "DataSourceS3Configuration": {
                        "BucketName": self._address.bucket_name,
                        "ObjectKeyPrefix": key,
                    },
                    "DataFormat": "CSV",
                },
                ReportConfiguration={
                    "ReportS3Configuration": {
                        "BucketName": self._address.bucket_name,
                        "ObjectKeyPrefix": self._address.key(LOADS, "reports"),
                    }
                },
                RecordVersion=version,
            )
        return str(answer["TaskId"])

    def _wait(self, task: str, readings: int) -> None:
        pause, longest = _PAUSES
        while True:
            still_wanted()
            with telling_what_failed():
                told: dict[str, Any] = self._clients.control.describe_batch_load_task(TaskId=task)
            description = told["BatchLoadTaskDescription"]
            if description["TaskStatus"] not in _RUNNING:
                break
            time.sleep(pause)
            pause = min(2 * pause, longest)
        progress = description.get("ProgressReport", {})
        failed = sum(
            progress.get(kind, 0)
            for kind in ("ParseFailures", "RecordIngestionFailures", "FileFailures")
        )
        if description["TaskStatus"] != "SUCCEEDED" or failed:
            raise ReadingsRefusedError(
                f"Timestream's batch load {task} of {readings:,} readings ended "
                f"{description['TaskStatus']} with {failed:,} failures: "
                f"{description.get('ErrorMessage', 'no message')}. Its report lies in "
                f"s3://{self._address.bucket_name}/{self._address.key(LOADS, 'reports')}."
            )
