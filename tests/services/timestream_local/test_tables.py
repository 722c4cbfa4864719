"""Databases, tables and batch loads of the local Timestream with a boto3 client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.services.servers import BUCKET
from tests.services.timestream_local.rows import error_of


def test_a_changed_table_is_described(table: str, write: Any) -> None:
    names = {"DatabaseName": "fleet", "TableName": table}
    write.update_table(
        **names,
        RetentionProperties={
            "MemoryStoreRetentionPeriodInHours": 24,
            "MagneticStoreRetentionPeriodInDays": 7,
        },
    )
    described = write.describe_table(**names)["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["RetentionProperties"]["MagneticStoreRetentionPeriodInDays"] == 7
    assert isinstance(described["CreationTime"], datetime)


def test_duplicate_and_missing_names_have_error_codes(table: str, write: Any) -> None:
    for call, arguments, code in (
        (write.create_database, {"DatabaseName": "fleet"}, "ConflictException"),
        (write.create_table, {"DatabaseName": "fleet", "TableName": table}, "ConflictException"),
        (write.describe_database, {"DatabaseName": "none"}, "ResourceNotFoundException"),
        (
            write.describe_table,
            {"DatabaseName": "fleet", "TableName": "none"},
            "ResourceNotFoundException",
        ),
        (write.delete_database, {"DatabaseName": "fleet"}, "ValidationException"),
    ):
        assert error_of(call, **arguments).response["Error"]["Code"] == code


def test_tables_are_listed_in_pages(table: str, write: Any) -> None:
    pages = list(_pages(write.list_tables, DatabaseName="fleet", MaxResults=1))
    assert all(len(page["Tables"]) == 1 for page in pages)
    assert table in {each["TableName"] for page in pages for each in page["Tables"]}


def _pages(call: Any, **arguments: Any) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    while True:
        page = call(**arguments, **token)
        yield page
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def test_a_batch_load_without_a_file_fails_with_a_message(table: str, write: Any) -> None:
    task = write.create_batch_load_task(
        TargetDatabaseName="fleet",
        TargetTableName=table,
        DataModelConfiguration={
            "DataModel": {
                "TimeColumn": "time",
                "DimensionMappings": [{"SourceColumn": "device_id"}],
                "MultiMeasureMappings": {
                    "TargetMultiMeasureName": "readings",
                    "MultiMeasureAttributeMappings": [
                        {"SourceColumn": "kw", "MeasureValueType": "DOUBLE"}
                    ],
                },
            }
        },
        DataSourceConfiguration={
            "DataSourceS3Configuration": {"BucketName": BUCKET, "ObjectKeyPrefix": "nothing/here"},
            "DataFormat": "CSV",
        },
        ReportConfiguration={"ReportS3Configuration": {"BucketName": BUCKET}},
    )["TaskId"]
    deadline = time.monotonic() + 120
    status = "CREATED"
    while status in ("CREATED", "IN_PROGRESS"):
        assert time.monotonic() < deadline
        described = write.describe_batch_load_task(TaskId=task)["BatchLoadTaskDescription"]
        status = described["TaskStatus"]
    assert status == "FAILED"
    assert "nothing" in described["ErrorMessage"]
