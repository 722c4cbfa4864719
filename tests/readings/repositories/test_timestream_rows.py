"""The rows of a query's result are not converted value by value."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.parsers import JSONParser

from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import Clients

ROW = {"Data": [{"ScalarValue": "2023-02-27 16:00:00.000000000"}, {"NullValue": True}]}
COLUMNS = [{"Name": "time", "Type": {"ScalarType": "TIMESTAMP"}}]


@pytest.fixture(scope="module")
def client() -> Any:
    """The client for queries, which makes no call here."""
    return Clients(TimestreamAddress.of("timestream://devices/readings?region=us-east-1")).query


def parse(client: Any, rows: int) -> Any:
    """Return what the client returns for a response with this number of rows."""
    body = {"QueryId": "1", "Rows": [ROW] * rows, "ColumnInfo": COLUMNS}
    response = {"status_code": 200, "headers": {}, "body": json.dumps(body).encode()}
    parser = client._endpoint._response_parser_factory.create_parser("json")
    return parser.parse(response, client.meta.service_model.operation_model("Query").output_shape)


def test_a_result_is_what_boto3_returns(client: Any) -> None:
    assert parse(client, 3) == parse(boto3.client("timestream-query", region_name="us-east-1"), 3)


def test_more_rows_need_no_more_conversions(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[str] = []
    convert = JSONParser._handle_structure

    def counted(parser: JSONParser, shape: Any, value: Any) -> Any:
        converted.append(shape.name)
        return convert(parser, shape, value)

    monkeypatch.setattr(JSONParser, "_handle_structure", counted)
    parse(client, 1_000)
    assert converted == ["QueryResponse", "ColumnInfo", "Type"]
