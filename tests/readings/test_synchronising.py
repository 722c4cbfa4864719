"""A page with ``arrived_after`` and without ``as_of`` has a default ``as_of``, where the next pull continues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from exports.models import Supplier
from readings import frame
from readings.instants import format_instant, parse_instant
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.suppliers import api_client

FLEET = Fleet(devices=20)
FIRST = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def client_of_alice(db: None, settings: Settings, store: ReadingsRepository) -> APIClient:
    """A client that sends the API key of the supplier alice, of a deployment without a simulated fleet."""
    settings.SIMULATION = False
    return api_client(Supplier.objects.create(name="alice"))


def write_arrived(store: ReadingsRepository, interval: int, age: timedelta) -> None:
    """Write the readings of one interval that arrived ``age`` before now."""
    readings = readings_for(FLEET, FIRST + interval * timedelta(minutes=5))
    arrival_time = frame.literal(datetime.now(UTC) - age)
    store.write(readings.with_columns(arrival_time.alias("arrival_time")))


def pull(client: APIClient, **parameters: str) -> dict[str, Any]:
    """Return the first page of everything that arrived after an instant."""
    query = {"start_date": "1970-01-01", "arrived_after": "1970-01-01", **parameters}
    page: dict[str, Any] = client.get("/readings", query).json()
    return page


def test_the_default_is_a_minute_ago_and_is_in_filter_params_and_next(
    client_of_alice: APIClient, store: ReadingsRepository
) -> None:
    write_arrived(store, 0, timedelta(minutes=3))
    write_arrived(store, 1, timedelta(seconds=30))
    before = datetime.now(UTC)
    page = pull(client_of_alice)
    after = datetime.now(UTC)
    as_of = page["filter_params"]["as_of"]
    minute = timedelta(minutes=1)
    assert before - minute <= parse_instant(as_of) <= after - minute
    assert {record["time"] for record in page["records"]} == {format_instant(FIRST)}
    following = client_of_alice.get(page["next"]).json()
    assert following["filter_params"]["as_of"] == as_of
    assert len(page["records"] + following["records"]) == FLEET.devices
    assert following["next"] is None


def test_an_instant_that_the_caller_sends_stays(client_of_alice: APIClient) -> None:
    page = pull(client_of_alice, as_of="2026-05-01")
    assert page["filter_params"]["as_of"] == "2026-05-01 00:00:00.000000"


def test_a_pull_that_comes_early_does_not_go_back(client_of_alice: APIClient) -> None:
    now = format_instant(datetime.now(UTC))
    page = pull(client_of_alice, arrived_after=now)
    assert page["filter_params"]["as_of"] == now
    assert page["records"] == []


def test_a_page_without_arrived_after_has_no_default(client_of_alice: APIClient) -> None:
    page = client_of_alice.get("/readings", {"start_date": "1970-01-01"}).json()
    assert "as_of" not in page["filter_params"]
