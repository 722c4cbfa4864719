"""The protocol of the local Timestream, tested with plain HTTP calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.services.timestream import TimestreamLocal
from tests.services.timestream_local.rows import error_of


def test_a_call_without_a_signature_is_refused(timestream: TimestreamLocal) -> None:
    answer = requests.post(
        timestream.endpoint,
        json={},
        headers={"X-Amz-Target": "Timestream_20181101.ListDatabases"},
        timeout=60,
    )
    assert answer.status_code == 400
    assert answer.json()["__type"] == "MissingAuthenticationTokenException"


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("Timestream_20181101.Nothing", "{}", "UnknownOperationException"),
        ("Timestream_20181101.Query", "{}", "ValidationException"),
        ("Timestream_20181101.Query", '{"QueryString": 5}', "ValidationException"),
        (
            "Timestream_20181101.Query",
            '{"QueryString": "SELECT 1", "Other": 1}',
            "ValidationException",
        ),
        ("Timestream_20181101.Query", "{", "SerializationException"),
        ("Timestream_20181101.Query", "[]", "SerializationException"),
        (
            "Timestream_20181101.Query",
            '{"QueryString": "SELECT 1", "MaxRows": 1001}',
            "ValidationException",
        ),
    ],
)
def test_a_call_that_does_not_match_the_service_model_is_refused(
    timestream: TimestreamLocal, target: str, body: str, code: str
) -> None:
    answer = requests.post(
        timestream.endpoint,
        data=body,
        headers={
            "X-Amz-Target": target,
            "Authorization": "AWS4-HMAC-SHA256 …".encode().decode("latin-1"),
        },
        timeout=60,
    )
    assert json.loads(answer.text)["__type"] == code


def test_a_client_can_discover_the_endpoint(timestream: TimestreamLocal) -> None:
    answer = requests.post(
        timestream.endpoint,
        json={},
        headers={"X-Amz-Target": "Timestream_20181101.DescribeEndpoints", "Authorization": "any"},
        timeout=60,
    )
    assert answer.json()["Endpoints"][0]["Address"] == timestream.endpoint


def test_a_call_fails_as_often_as_the_test_requests(
    timestream: TimestreamLocal, write: Any
) -> None:
    timestream.fail("ListDatabases", "ThrottlingException", times=1)
    error = error_of(write.list_databases)
    assert error.response["Error"]["Code"] == "ThrottlingException"
    write.list_databases()
