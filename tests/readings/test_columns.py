"""A caller of GET /readings and POST /readings/query chooses the columns of the records."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from rest_framework.test import APIClient

from exports.models import Supplier
from readings import frame
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.suppliers import api_client

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FLEET = Fleet(devices=5)
START = {"start_date": "2026-05-01"}


@pytest.fixture
def readings(store: ReadingsRepository) -> pl.DataFrame:
    """Stored readings with all columns. Every second one has no energy, no voltage and no quality."""
    of_fleet = frame.with_full_columns(readings_for(FLEET, NOON))
    has_values = pl.int_range(pl.len()) % 2 == 0
    values = of_fleet.with_columns(
        kwh=pl.when(has_values).then(-0.25),
        vltg=pl.when(has_values).then("vltg"),
        quality=pl.when(has_values).then(pl.lit("estimated")),
    )
    store.write(values)
    return values


@pytest.fixture
def client_of_alice(db: None, readings: pl.DataFrame) -> APIClient:
    """A client that sends the API key of the supplier alice."""
    return api_client(Supplier.objects.create(name="alice"))


def rows(columns: list[str], readings: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the records that a page should have."""
    text = frame.with_instants_as_text(readings).select(columns)
    return [{"offset": n, **row} for n, row in enumerate(text.rows(named=True), start=1)]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("all", frame.FULL_COLUMNS),
        ("quality, kwh,time", ["quality", "kwh", "time"]),
        ("kwh", ["kwh"]),
        (",".join(frame.COLUMNS), frame.COLUMNS),
    ],
)
def test_records_have_the_offset_and_then_the_columns_in_the_order_of_the_caller(
    client_of_alice: APIClient, readings: pl.DataFrame, columns: str, expected: list[str]
) -> None:
    query = {**START, "columns": columns}
    page = client_of_alice.get("/readings", query).json()
    assert page["records"] == rows(expected, readings)
    assert list(page["records"][0]) == ["offset", *expected]
    assert page["filter_params"]["columns"] == ",".join(expected)
    body = json.dumps(query)
    assert client_of_alice.post("/readings/query", body, content_type="text/plain").json() == page


def test_a_page_has_the_columns_of_the_contract_if_the_caller_chooses_none(
    client_of_alice: APIClient, readings: pl.DataFrame
) -> None:
    page = client_of_alice.get("/readings", START).json()
    assert page["records"] == rows(frame.COLUMNS, readings)
    assert page["records"][1]["vltg"] is None
    assert "columns" not in page["filter_params"]


def test_next_repeats_the_columns_although_they_do_not_identify_a_reading(
    client_of_alice: APIClient, readings: pl.DataFrame
) -> None:
    page = client_of_alice.get("/readings", {**START, "columns": "kwh", "page_size": "2"}).json()
    records = page["records"]
    while page["next"]:
        page = client_of_alice.get(page["next"]).json()
        records += page["records"]
    assert records == rows(["kwh"], readings)


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ("time,colour", "'colour' is not a column"),
        ("time,kwh,time", "'time' is repeated"),
        ("time,all", "all cannot be combined with other names"),
        ("all, kwh", "all cannot be combined with other names"),
        ("time,", "'' is not a column"),
        ("", "names no column"),
        (["time"], "columns takes one text in quotes, not a list or a number"),
        (5, "columns takes one text in quotes, not a list or a number"),
        (None, "columns is null"),
    ],
)
def test_a_wrong_choice_is_refused_with_the_column_and_the_known_ones(
    client_of_alice: APIClient, columns: Any, named: str
) -> None:
    body = json.dumps({**START, "columns": columns})
    answer = client_of_alice.post("/readings/query", body, content_type="text/plain")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error.startswith("columns")
    assert named in error
    assert ", ".join(frame.FULL_COLUMNS) in error
