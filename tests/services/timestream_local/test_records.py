"""The local Timestream accepts or rejects records that a boto3 client writes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.services.timestream_local.rows import NOW, answer_of, error_of, record


def test_common_attributes_are_part_of_every_record(table: str, write: Any, query: Any) -> None:
    bare = [
        {"Dimensions": each["Dimensions"], "MeasureValues": each["MeasureValues"]}
        for each in map(record, range(3))
    ]
    answer = write.write_records(
        DatabaseName="fleet",
        TableName=table,
        CommonAttributes={
            "Time": record()["Time"],
            "MeasureName": "readings",
            "MeasureValueType": "MULTI",
            "Dimensions": [{"Name": "utility", "Value": "u"}],
        },
        Records=bare,
    )
    assert answer["RecordsIngested"] == {"Total": 3, "MemoryStore": 3, "MagneticStore": 0}
    rows = answer_of(query, f'SELECT device_id FROM "fleet"."{table}" WHERE utility = \'u\'')
    assert len(rows["Rows"]) == 3


def test_a_record_is_changed_only_with_a_higher_version(table: str, write: Any, query: Any) -> None:
    names = {"DatabaseName": "fleet", "TableName": table}
    write.write_records(**names, Records=[record(kw=1.0, Version=5)])
    write.write_records(**names, Records=[record(kw=1.0, Version=5)])
    error = error_of(write.write_records, **names, Records=[record(1), record(kw=2.0, Version=5)])
    assert error.response["Error"]["Code"] == "RejectedRecordsException"
    [rejected] = error.response["RejectedRecords"]
    assert (rejected["RecordIndex"], rejected["ExistingVersion"]) == (1, 5)
    write.write_records(**names, Records=[record(kw=3.0, Version=6)])
    rows = answer_of(query, f'SELECT kw FROM "fleet"."{table}" ORDER BY device_id')["Rows"]
    assert [row["Data"][0]["ScalarValue"] for row in rows] == ["3.0", "1.0"]


def test_late_records_are_accepted_only_with_magnetic_store_writes(table: str, write: Any) -> None:
    names = {"DatabaseName": "fleet", "TableName": table}
    late = record(at=NOW - timedelta(days=8))
    assert "memory store" in str(
        error_of(write.write_records, **names, Records=[late]).response["RejectedRecords"]
    )
    write.update_table(**names, MagneticStoreWriteProperties={"EnableMagneticStoreWrites": True})
    assert write.write_records(**names, Records=[late])["RecordsIngested"]["MagneticStore"] == 1


def test_records_in_the_future_are_rejected(table: str, write: Any) -> None:
    error = error_of(
        write.write_records,
        DatabaseName="fleet",
        TableName=table,
        Records=[record(at=NOW + timedelta(hours=12))],
    )
    assert "future" in error.response["RejectedRecords"][0]["Reason"]


def test_more_than_a_hundred_records_in_a_call_are_refused(table: str, write: Any) -> None:
    error = error_of(
        write.write_records,
        DatabaseName="fleet",
        TableName=table,
        Records=[record(number) for number in range(101)],
    )
    assert error.response["Error"]["Code"] == "ValidationException"
    assert "100" in error.response["Error"]["Message"]


def test_a_dimension_cannot_be_in_a_record_and_in_the_common_attributes(
    table: str, write: Any
) -> None:
    error = error_of(
        write.write_records,
        DatabaseName="fleet",
        TableName=table,
        CommonAttributes={"Dimensions": [{"Name": "device_id", "Value": "x"}]},
        Records=[record()],
    )
    assert error.response["Error"]["Code"] == "ValidationException"
