"""GET /readings/history: all versions of one reading."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from rest_framework.test import APIClient

from exports.models import Supplier
from readings import frame
from readings.instants import format_instant
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.suppliers import api_client

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
READINGS = readings_for(Fleet(devices=5), NOON)
METER = READINGS.item(2, "device_id")


@pytest.fixture
def client_of_alice(db: None, store: ReadingsRepository) -> APIClient:
    """A client that sends the API key of the supplier alice. The repository has one interval."""
    store.write(READINGS)
    return api_client(Supplier.objects.create(name="alice"))


def history(client: APIClient, **changed: str) -> Any:
    """Return the response for the reading of :data:`METER` at noon."""
    parameters = {"device_id": METER, "time": "2026-05-01 12:00", **changed}
    return client.get("/readings/history", parameters)


def test_a_reading_without_corrections_has_one_version_with_all_columns(
    client_of_alice: APIClient,
) -> None:
    answer = history(client_of_alice, device_id=METER.upper()).json()
    full = frame.with_full_columns(frame.with_instants_as_text(READINGS))
    assert answer == {
        "device_id": METER,
        "time": "2026-05-01 12:00:00.000000",
        "versions": [{"valid": True, **full.row(2, named=True)}],
    }


def test_the_version_that_arrived_last_is_first_and_valid(
    client_of_alice: APIClient, store: ReadingsRepository
) -> None:
    arrivals = [NOON + timedelta(hours=hours) for hours in (3, 1)]
    for number, arrival in enumerate(arrivals):
        corrected = READINGS.with_columns(
            frame.literal(arrival).alias("arrival_time"), kwh=pl.lit(float(number))
        )
        store.write(corrected, corrections=True)
    found = history(client_of_alice).json()["versions"]
    assert [(each["arrival_time"], each["kwh"], each["valid"]) for each in found] == [
        (format_instant(arrivals[0]), 0.0, True),
        (format_instant(arrivals[1]), 1.0, False),
        (format_instant(NOON), None, False),
    ]


def test_a_reading_that_does_not_exist_is_a_404_that_names_it(client_of_alice: APIClient) -> None:
    answer = history(client_of_alice, device_id="NMI 4102")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": "The meter NMI 4102 has no reading at 2026-05-01 12:00:00.000000."
    }
    assert history(client_of_alice, time="2026-05-01 12:00:00.000001").status_code == 404


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"device_id": "x" * 65}, "device_id"),
        ({"device_id": "a,b"}, "device_id"),
        ({"device_id": ""}, "device_id"),
        ({"time": "noon"}, "time"),
        ({"as_of": "2026-05-01"}, "'as_of'"),
    ],
)
def test_a_wrong_parameter_is_named(
    client_of_alice: APIClient, changed: dict[str, str], named: str
) -> None:
    answer = history(client_of_alice, **changed)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_both_parameters_are_required(client_of_alice: APIClient) -> None:
    answer = client_of_alice.get("/readings/history")
    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == {"device_id", "time"}
