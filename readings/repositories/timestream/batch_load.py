"""Write many readings: upload them to the bucket as a CSV file that a Timestream batch load task imports."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Sequence
from typing import Any

import polars as pl

from readings import frame
from readings.cancellation import raise_if_cancelled
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import Clients, translate_aws_errors
from readings.repositories.timestream.records import MEASURES
from readings.repository_errors import ReadingsRefusedError

FOLDER = "loads"
"""Below the bucket's prefix: files to load, and the reports of failed tasks."""
_FIRST_PAUSE, _MAX_PAUSE = 0.2, 5.0
_UNFINISHED = {"CREATED", "IN_PROGRESS", "PENDING_RESUME"}


class BatchLoader:
    """Writes readings into one table through its bucket."""

    def __init__(self, address: TimestreamAddress, clients: Clients) -> None:
        self._address = address
        self._clients = clients

    def write(self, readings: pl.DataFrame, *, version: int) -> None:
        """Write all readings, which have no nulls, and return when they are in the table.

        All get the same version: a task cannot have several.

        Raises :class:`ReadingsRefusedError` if the service could not load some of them,
        :class:`RepositoryUnavailableError`, or the caller's exception if it cancels. The uploaded file is
        deleted in every case.
        """
        key = self._address.key(FOLDER, f"{uuid.uuid4()}.csv")
        try:
            self._upload(readings, key)
            task = self._start_task(key, readings.columns, version)
            self._raise_if_failed(task, self._wait_for(task), len(readings))
        finally:
            with translate_aws_errors():
                self._clients.s3.delete_object(Bucket=self._address.bucket_name, Key=key)

    def _upload(self, readings: pl.DataFrame, key: str) -> None:
        epochs = [pl.col("time").dt.epoch("us"), pl.col("arrival_time").dt.epoch("us")]
        with tempfile.TemporaryFile() as file, translate_aws_errors():
            readings.drop("measure_name").with_columns(epochs).write_csv(file)
            file.seek(0)
            self._clients.s3.upload_fileobj(file, self._address.bucket_name, key)

    def _start_task(self, key: str, columns: Sequence[str], version: int) -> str:
        with translate_aws_errors():
            response = self._clients.control.create_batch_load_task(
                TargetDatabaseName=self._address.database,
                TargetTableName=self._address.table,
                DataModelConfiguration={"DataModel": _data_model(columns)},
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
                        "ObjectKeyPrefix": self._address.key(FOLDER, "reports"),
                    }
                },
                RecordVersion=version,
            )
        return str(response["TaskId"])

    def _wait_for(self, task: str) -> dict[str, Any]:
        """Return the service's description of the task when it has ended."""
        pause = _FIRST_PAUSE
        while True:
            raise_if_cancelled()
            with translate_aws_errors():
                response = self._clients.control.describe_batch_load_task(TaskId=task)
            description: dict[str, Any] = response["BatchLoadTaskDescription"]
            if description["TaskStatus"] not in _UNFINISHED:
                return description
            time.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE)

    def _raise_if_failed(self, task: str, description: dict[str, Any], readings: int) -> None:
        progress = description.get("ProgressReport", {})
        failures = sum(
            progress.get(kind, 0)
            for kind in ("ParseFailures", "RecordIngestionFailures", "FileFailures")
        )
        if description["TaskStatus"] != "SUCCEEDED" or failures:
            raise ReadingsRefusedError(
                f"Timestream's batch load task {task} of {readings:,} readings ended with status "
                f"{description['TaskStatus']} and {failures:,} failures: "
                f"{description.get('ErrorMessage', 'no message')}. Its report is in "
                f"s3://{self._address.bucket_name}/{self._address.key(FOLDER, 'reports')}."
            )


def _data_model(columns: Sequence[str]) -> dict[str, Any]:
    return {
        "TimeColumn": "time",
        "TimeUnit": "MICROSECONDS",
        "DimensionMappings": [{"SourceColumn": "device_id", "DestinationColumn": "device_id"}],
        "MultiMeasureMappings": {
            "TargetMultiMeasureName": frame.MEASURE_NAME,
            "MultiMeasureAttributeMappings": [
                {"SourceColumn": name, "MeasureValueType": kind}
                for name, kind in MEASURES.items()
                if name in columns
            ],
        },
    }
