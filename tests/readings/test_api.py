"""GET /readings where late readings arrive between two calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from exports.models import Supplier
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import arrivals_between, readings_in_arrival
from readings.simulation.fleet import Fleet
from tests.suppliers import client_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FLEET = Fleet(devices=40, late_arrivals=True, late_percent=30, late_minutes=20)


@pytest.fixture
def alices(db: None) -> APIClient:
    """A client with a good key."""
    return client_of(Supplier.objects.create(name="alice"))


def arrive(store: ReadingsRepository, after: datetime, until: datetime) -> None:
    for arrival in arrivals_between(FLEET, after, until):
        if arrival.time >= NOON:
            store.write(readings_in_arrival(FLEET, arrival))


def pages(
    client: APIClient, store: ReadingsRepository, how: str, **query: str
) -> Iterator[dict[str, Any]]:
    """Every record, page by page; between two pages, five more minutes arrive."""
    now = NOON + timedelta(minutes=30)
    answer = client.get("/readings", {"page_size": "17", **query}).json()
    while answer["records"]:
        yield from answer["records"]
        arrive(store, now, now + timedelta(minutes=5))
        now += timedelta(minutes=5)
        if how == "next":
            if answer["next"] is None:
                return
            answer = client.get(answer["next"]).json()
        else:
            offset = answer["results"]["last_offset"]
            answer = client.get(
                "/readings", {"page_size": "17", "offset": str(offset), **query}
            ).json()


@pytest.mark.parametrize("how", ["offset", "next"])
def test_pages_as_of_an_instant_are_the_same_while_readings_arrive(
    alices: APIClient, store: ReadingsRepository, how: str
) -> None:
    arrive(store, NOON - timedelta(minutes=1), NOON + timedelta(minutes=30))
    query = {"start_date": NOON.isoformat(), "as_of": (NOON + timedelta(minutes=30)).isoformat()}
    at_once = alices.get("/readings", {**query, "page_size": "50000"}).json()["records"]
    assert 150 < len(at_once) < 280
    assert list(pages(alices, store, how, **query)) == at_once


def test_next_links_without_as_of_neither_repeat_nor_skip_what_was_there(
    alices: APIClient, store: ReadingsRepository
) -> None:
    arrive(store, NOON - timedelta(minutes=1), NOON + timedelta(minutes=30))
    query = {"start_date": NOON.isoformat(), "end_date": (NOON + timedelta(minutes=30)).isoformat()}
    at_once = alices.get("/readings", {**query, "page_size": "50000"}).json()["records"]
    seen = [(r["time"], r["device_id"]) for r in pages(alices, store, "next", **query)]
    assert len(seen) == len(set(seen))
    assert {(r["time"], r["device_id"]) for r in at_once} <= set(seen)
    assert seen == sorted(seen)


def test_arrived_after_brings_late_readings_too(
    alices: APIClient, store: ReadingsRepository
) -> None:
    arrive(store, NOON - timedelta(minutes=1), NOON + timedelta(minutes=20))
    query = {
        "start_date": NOON.isoformat(),
        "arrived_after": (NOON + timedelta(minutes=15)).isoformat(),
    }
    records = alices.get("/readings", {**query, "page_size": "1000"}).json()["records"]
    times = {record["time"][11:16] for record in records}
    assert times == {"12:00", "12:20"}
