"""GET /meters/<device id>/latest: the newest valid reading of one meter, with all columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from rest_framework.test import APIClient

from exports.models import Supplier
from readings import frame
from readings.models import Meter
from readings.repositories import ReadingsRepository
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.totals import update_totals
from readings.window import Window
from tests.suppliers import api_client

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
INTERVAL = timedelta(minutes=5)
FLEET = Fleet(devices=3)
METER = FLEET.meters.device_id[0]


@pytest.fixture
def client(db: None) -> APIClient:
    """A client with an API key."""
    return api_client(Supplier.objects.create(name="alice"))


def latest(client: APIClient, device_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/meters/{quote(device_id, safe='')}/latest").json()
    return answer


def test_the_newest_reading_has_all_columns_and_nulls(
    client: APIClient, store: ReadingsRepository
) -> None:
    store.write(pl.concat([readings_for(FLEET, NOON), readings_for(FLEET, NOON + INTERVAL)]))
    found = latest(client, METER)
    assert list(found) == frame.FULL_COLUMNS
    [expected] = readings_for(FLEET, NOON + INTERVAL).filter(device_id=METER).rows(named=True)
    assert found["time"] == found["arrival_time"] == "2026-05-01 12:05:00.000000"
    assert found["kw"] == expected["kw"]
    assert [found[name] for name in frame.FURTHER_SCHEMA] == [None] * 4
    # A meter that sends energy only, and a correction.
    reading = readings_for(FLEET, NOON + 2 * INTERVAL).filter(device_id=METER)
    nulls = [pl.lit(None, frame.FULL_SCHEMA[name]).alias(name) for name in frame.MEASURES]
    energy = reading.with_columns(nulls).with_columns(kwh=pl.lit(0.5), quality=pl.lit("estimated"))
    store.write(energy)
    corrected = energy.with_columns(pl.col("arrival_time") + INTERVAL, kwh=pl.lit(0.25))
    store.write(corrected, corrections=True)
    found = client.get(f"/meters/{METER.upper()}/latest/").json()
    assert (found["kwh"], found["quality"], found["kw"], found["load"]) == (
        0.25, "estimated", None, None,
    )  # fmt: skip
    assert found["arrival_time"] == "2026-05-01 12:15:00.000000"


@pytest.mark.parametrize(
    "device_id", ["a/b", "/", "50% #1", "a/latest", "Zähler ?x=1&y", "%2F", "x;y"]
)
def test_any_id_can_be_in_the_path(
    client: APIClient, store: ReadingsRepository, device_id: str
) -> None:
    one = readings_for(FLEET, NOON).head(1).with_columns(device_id=pl.lit(device_id))
    store.write(one)
    for closing in ("", "/"):
        found = client.get(f"/meters/{quote(device_id, safe='')}/latest{closing}")
        assert found.json()["device_id"] == device_id
    assert latest(client, f"{device_id}x")["error"] == f"The meter {device_id}x has no readings."


def test_an_unknown_meter_is_404_and_other_text_is_400(
    client: APIClient, store: ReadingsRepository
) -> None:
    assert client.get("/meters/unknown/latest").status_code == 404
    for wrong, broken in (
        ("a%2Cb", "contains a comma"),
        ("x" * 65, "has 65 characters; at most 64"),
        ("%20", "is empty"),
        ("a%09b", "contains a character that cannot be printed"),
    ):
        answer = client.get(f"/meters/{wrong}/latest")
        assert answer.status_code == 400
        assert f"is not a meter id: it {broken}" in answer.json()["error"]
    assert client.post("/meters/unknown/latest").status_code == 405


def test_a_recorded_meter_is_searched_from_its_recorded_time_on(
    client: APIClient, store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search of all days is for meters that are not recorded, or whose readings were deleted."""
    for n in range(3):
        store.write(readings_for(FLEET, NOON + n * INTERVAL))
    update_totals(store.snapshot())
    store.write(readings_for(FLEET, NOON + 3 * INTERVAL))
    windows: list[Window] = []
    read = DeltaSnapshot.last_times

    def last_times(snapshot: DeltaSnapshot, window: Window) -> pl.DataFrame:
        windows.append(window)
        return read(snapshot, window)

    monkeypatch.setattr(DeltaSnapshot, "last_times", last_times)
    summaries = DeltaSnapshot.meter_summaries
    monkeypatch.delattr(DeltaSnapshot, "meter_summaries")
    assert latest(client, METER)["time"] == "2026-05-01 12:15:00.000000"
    assert windows == [Window(NOON + 2 * INTERVAL, device_ids=(METER,))]
    monkeypatch.setattr(DeltaSnapshot, "meter_summaries", summaries)
    Meter.objects.update(last_time=NOON + timedelta(days=1))
    assert latest(client, METER)["time"] == "2026-05-01 12:15:00.000000"
