"""The JSON schemas accept the parameters that botocore accepts, and refuse the others."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.validate import ParamValidator

from tests.timestream_local.json_schema import validator_of
from tests.timestream_local.protocol import models

RECORD = {
    "Dimensions": [{"Name": "device_id", "Value": "m", "DimensionValueType": "VARCHAR"}],
    "MeasureName": "readings",
    "MeasureValueType": "MULTI",
    "MeasureValues": [{"Name": "kw", "Value": "0.5", "Type": "DOUBLE"}],
    "Time": "1677510000000",
    "TimeUnit": "MILLISECONDS",
    "Version": 7,
}
VALID: dict[str, dict[str, Any]] = {
    "WriteRecords": {"DatabaseName": "devices", "TableName": "readings", "Records": [RECORD]},
    "CreateTable": {
        "DatabaseName": "devices",
        "TableName": "readings",
        "RetentionProperties": {
            "MemoryStoreRetentionPeriodInHours": 1,
            "MagneticStoreRetentionPeriodInDays": 1,
        },
        "MagneticStoreWriteProperties": {"EnableMagneticStoreWrites": True},
        "Tags": [{"Key": "a", "Value": ""}],
    },
    "Query": {"QueryString": "SELECT 1", "MaxRows": 1, "ClientToken": "t" * 32},
}


def variants(value: Any) -> Iterator[Any]:
    """Yield the value with each part missing, unknown, empty, too small or of another type."""
    others: list[Any] = [None, 0, -1, 1.5, "", "x", [], {}]
    yield from (other for other in others if other != value)
    if isinstance(value, dict):
        yield value | {"Other": 1}
        for name, member in value.items():
            yield {other: each for other, each in value.items() if other != name}
            yield from (value | {name: variant} for variant in variants(member))
    if isinstance(value, list):
        yield from ([*value, variant] for variant in variants(value[0]))


@pytest.mark.parametrize("name", VALID)
def test_a_body_is_valid_if_botocore_accepts_it(name: str) -> None:
    [operation] = [
        service.operation_model(name) for service in models() if name in service.operation_names
    ]
    assert validator_of(operation).is_valid(VALID[name])
    for body in variants(copy.deepcopy(VALID[name])):
        accepted = not ParamValidator().validate(body, operation.input_shape).has_errors()
        assert validator_of(operation).is_valid(body) == accepted, body
