"""GET /readings: what a page contains, and paging while late readings arrive between two calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from django.conf import settings
from rest_framework.test import APIClient

from exports.models import Supplier
from readings import frame
from readings.page_query import FilterParams
from readings.repositories import ReadingsRepository, open_repository
from readings.repositories.delta.folder import DiskFolder
from readings.serializers import Reading, ReadingsPage
from readings.simulation.arrivals import arrivals_between, readings_for, readings_in_arrival
from readings.simulation.fleet import Fleet
from tests.suppliers import api_client

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FLEET = Fleet(devices=40, late_arrivals=True, late_percent=30, late_minutes=20)


@pytest.fixture
def client_of_alice(db: None) -> APIClient:
    """A client that sends the API key of the supplier alice."""
    return api_client(Supplier.objects.create(name="alice"))


def write_arrivals(store: ReadingsRepository, after: datetime, until: datetime) -> None:
    """Store what arrives of the intervals since noon."""
    arrivals = [each for each in arrivals_between(FLEET, after, until) if each.time >= NOON]
    store.write(pl.concat(readings_in_arrival(FLEET, arrival) for arrival in arrivals))


def records_of_all_pages(
    client: APIClient, store: ReadingsRepository, follow: str, **query: str
) -> Iterator[dict[str, Any]]:
    """Yield every record, page by page. Between two pages, the readings of five more minutes arrive."""
    now = NOON + timedelta(minutes=30)
    # Most pages end in the middle of an interval: it has 40 readings.
    query["page_size"] = "29"
    answer = client.get("/readings", query).json()
    while answer["records"]:
        yield from answer["records"]
        write_arrivals(store, now, now + timedelta(minutes=5))
        now += timedelta(minutes=5)
        if follow == "next":
            if answer["next"] is None:
                return
            answer = client.get(answer["next"]).json()
        else:
            offset = answer["results"]["last_offset"]
            answer = client.get("/readings", {**query, "offset": str(offset)}).json()


def test_a_page_has_the_keys_and_values_that_its_serializers_declare(
    client_of_alice: APIClient, store: ReadingsRepository
) -> None:
    readings = readings_for(FLEET, NOON)
    store.write(readings)
    query: dict[str, str | list[str]] = {
        "start_date": "2026-05-01",
        "device_id": readings["device_id"].to_list(),
        "offset": "1",
    }

    page = client_of_alice.get("/readings", query).json()

    assert list(page) == list(ReadingsPage().fields)
    assert list(page["results"]) == ["records_total", "last_offset", "last_date"]
    assert list(page["records"][0]) == ["offset", *frame.COLUMNS]
    assert list(Reading().fields) == ["offset", *frame.FULL_COLUMNS]
    params = FilterParams(data=page["filter_params"])
    assert params.is_valid(), params.errors
    for number, record in enumerate(page["records"], start=1):
        declared = Reading(data=record)
        assert declared.is_valid(), declared.errors
        assert declared.validated_data == {
            "offset": number + 1,
            **readings.row(number, named=True),
        }


def test_an_unknown_parameter_is_named_with_those_that_exist(client_of_alice: APIClient) -> None:
    answer = client_of_alice.get("/readings", {"start_date": "2026-05-01", "colour": "red"})
    assert answer.status_code == 400
    assert "'colour'" in answer.json()["error"]
    assert "start_date, page_size, offset" in answer.json()["error"]


def test_an_end_before_the_start_is_refused_and_the_same_instant_is_a_window(
    client_of_alice: APIClient, store: ReadingsRepository
) -> None:
    query = {"start_date": "2026-05-01", "end_date": "2026-04-30 23:59:59"}
    for answer in (
        client_of_alice.get("/readings", query),
        client_of_alice.post("/readings/query", query, format="json"),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"] == "end_date is before start_date."
    same = client_of_alice.get("/readings", {"start_date": "2026-05-01", "end_date": "2026-05-01"})
    assert (same.status_code, same.json()["records"]) == (200, [])


@pytest.mark.parametrize("follow", ["offset", "next"])
def test_pages_with_as_of_are_the_same_while_readings_arrive(
    client_of_alice: APIClient, store: ReadingsRepository, follow: str
) -> None:
    write_arrivals(store, NOON - timedelta(minutes=1), NOON + timedelta(minutes=30))
    query = {"start_date": NOON.isoformat(), "as_of": (NOON + timedelta(minutes=30)).isoformat()}
    one_page = client_of_alice.get("/readings", {**query, "page_size": "50000"}).json()["records"]
    assert 150 < len(one_page) < 280
    assert list(records_of_all_pages(client_of_alice, store, follow, **query)) == one_page


def test_next_links_without_as_of_neither_repeat_nor_skip_readings_that_were_stored(
    client_of_alice: APIClient, store: ReadingsRepository
) -> None:
    write_arrivals(store, NOON - timedelta(minutes=1), NOON + timedelta(minutes=30))
    query = {"start_date": NOON.isoformat(), "end_date": (NOON + timedelta(minutes=30)).isoformat()}
    one_page = client_of_alice.get("/readings", {**query, "page_size": "50000"}).json()["records"]
    seen = [
        (r["time"], r["device_id"])
        for r in records_of_all_pages(client_of_alice, store, "next", **query)
    ]
    assert len(seen) == len(set(seen))
    assert {(r["time"], r["device_id"]) for r in one_page} <= set(seen)
    assert seen == sorted(seen)


def test_the_last_page_has_readings_that_another_process_has_seen_already(
    client_of_alice: APIClient, store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiskFolder, "recheck_seconds", 86_400.0)
    store.write(readings_for(FLEET, NOON))
    query = {"start_date": NOON.isoformat(), "page_size": "30"}
    page = client_of_alice.get("/readings", query).json()
    # Another process writes an interval, and answers the first page. This process answers the next one.
    open_repository.__wrapped__(settings.READINGS_URL).write(
        readings_for(FLEET, NOON + FLEET.interval)
    )
    records = list(page["records"])
    while page["next"] is not None:
        page = client_of_alice.get(page["next"]).json()
        records += page["records"]
    assert len(records) == 80


def test_arrived_after_includes_late_readings(
    client_of_alice: APIClient, store: ReadingsRepository
) -> None:
    write_arrivals(store, NOON - timedelta(minutes=1), NOON + timedelta(minutes=20))
    query = {
        "start_date": NOON.isoformat(),
        "arrived_after": (NOON + timedelta(minutes=15)).isoformat(),
    }
    records = client_of_alice.get("/readings", {**query, "page_size": "1000"}).json()["records"]
    times = {record["time"][11:16] for record in records}
    assert times == {"12:00", "12:20"}
