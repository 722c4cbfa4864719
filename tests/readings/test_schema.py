"""The OpenAPI schema describes the API. The fuzz tests of tests/services check every response against it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from readings.instants import format_instant, parse_instant
from readings.schema import CANONICAL_INSTANT_PATTERN, INSTANT_PATTERN

Schema = dict[str, Any]


@pytest.fixture
def schema(client: Client) -> Schema:
    """The schema, as every client gets it."""
    answer: Schema = client.get("/api/schema/full/", {"format": "json"}).json()
    return answer


def operations(schema: Schema) -> dict[str, Schema]:
    return {
        operation["operationId"]: operation
        for path in schema["paths"].values()
        for operation in path.values()
    }


def response_schema(schema: Schema, operation: str) -> Schema:
    content = operations(schema)[operation]["responses"]["200"]["content"]
    name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    named: Schema = schema["components"]["schemas"][name]
    return named


def test_a_page_of_readings_is_one_object(schema: Schema) -> None:
    page = response_schema(schema, "readings")
    assert page["type"] == "object"
    assert set(page["required"]) == {"filter_params", "results", "next", "records"}


def test_the_body_of_a_file_request_is_json_without_unknown_properties(schema: Schema) -> None:
    content = operations(schema)["request_file"]["requestBody"]["content"]
    assert set(content) == {"application/json"}
    assert schema["components"]["schemas"]["FileRequestBody"]["additionalProperties"] is False


def test_a_file_request_always_has_a_status_and_canonical_dates(schema: Schema) -> None:
    status = response_schema(schema, "file_status")
    assert set(status["required"]) == {"request_id", "status"}
    assert status["properties"]["expires_at"]["pattern"] == f"^{CANONICAL_INSTANT_PATTERN}$"
    assert "format" not in status["properties"]["expires_at"]


@pytest.mark.parametrize(
    ("operation", "errors"),
    [
        ("readings", {"400", "401", "405", "503"}),
        ("query_readings", {"400", "401", "405", "413", "503"}),
        ("reading_history", {"400", "401", "404", "405", "503"}),
        ("request_file", {"400", "401", "405", "409", "413", "429", "503"}),
        ("file_status", {"400", "401", "404", "405", "503"}),
        ("cancel_file", {"400", "401", "404", "405", "409", "503"}),
        ("list_files", {"400", "401", "404", "405", "503"}),
    ],
)
def test_an_operation_declares_its_errors(schema: Schema, operation: str, errors: set[str]) -> None:
    assert set(operations(schema)[operation]["responses"]) == errors | {"200"}


def test_each_operation_links_to_operations_that_take_the_parameters(schema: Schema) -> None:
    known = operations(schema)
    for operation in known.values():
        links = operation["responses"]["200"]["links"]
        assert links
        for link in links.values():
            takes = {parameter["name"] for parameter in known[link["operationId"]]["parameters"]}
            assert set(link["parameters"]) <= takes


# On a busy machine, generating a text may take longer than the limits of Hypothesis.
@settings(max_examples=settings().max_examples // 2)
@given(st.from_regex(INSTANT_PATTERN, fullmatch=True))
def test_a_text_that_matches_the_pattern_is_a_date_or_does_not_exist(text: str) -> None:
    try:
        result = format_instant(parse_instant(text))
    except ValueError as error:
        result = str(error)
    is_date = re.fullmatch(CANONICAL_INSTANT_PATTERN, result) is not None
    assert is_date or "is not a date that exists" in result


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-27",
        "2023-02-27 16:00",
        "2023-02-27 16:00:00",
        "2023-02-27 16:00:00.000000",
        "2023-02-27 16:00:00.123456789",
        "2023-02-27T16:00:00Z",
        "2023-02-27T16:00+0530",
        "2023-02-27T16:00:00.5-05:30",
    ],
)
def test_every_accepted_form_of_a_date_matches_the_pattern(text: str) -> None:
    parse_instant(text)
    assert re.fullmatch(INSTANT_PATTERN, text)
