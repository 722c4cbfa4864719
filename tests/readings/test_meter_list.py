"""GET /meters: which meters a page has, and what it says about each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from exports.models import Supplier
from readings.cancellation import cancel_when
from readings.described_table import describe, described_repository
from readings.models import Meter
from readings.repositories import ReadingsRepository
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.totals import update_totals
from readings.window import Window
from tests.every_url import POISON
from tests.readings.test_cancellation import NotNeededError
from tests.suppliers import api_client

pytestmark = pytest.mark.django_db

MIDNIGHT = datetime(2026, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
IDS = ["A%1", "A_1", "A_1/x", "B 2", "a#b", "é"]
"""In byte order."""


@pytest.fixture
def client(db: None) -> APIClient:
    """A client with an API key."""
    return api_client(Supplier.objects.create(name="alice"))


def hourly(device_id: str, hours: range) -> pl.DataFrame:
    """Return a meter's readings at some hours after midnight."""
    return some_times(device_id, [MIDNIGHT + hour * HOUR for hour in hours])


def some_times(device_id: str, times: list[datetime]) -> pl.DataFrame:
    reading = readings_for(Fleet(devices=1), MIDNIGHT)
    time = pl.Series("time", times, reading.schema["time"])
    columns = {"time": time, "arrival_time": time.alias("arrival_time")}
    return (
        pl.concat([reading] * len(times))
        .with_columns(**columns, device_id=pl.lit(device_id))
        .select(reading.columns)
    )


def store_all(store: ReadingsRepository, *readings: pl.DataFrame) -> None:
    store.write(pl.concat(readings).sort("time", "device_id"))
    update_totals(store.snapshot())


def get(client: APIClient, **query: str | int) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/meters", query).json()
    return answer


def all_pages(client: APIClient, **query: str | int) -> list[list[str]]:
    """Return the device ids of every page, following ``next``."""
    answer = get(client, **query)
    pages = [[meter["device_id"] for meter in answer["results"]]]
    while answer["next"]:
        answer = client.get(answer["next"]).json()
        pages.append([meter["device_id"] for meter in answer["results"]])
    return pages


def test_a_page_says_when_a_meter_sent_readings_and_how_complete_they_are(
    client: APIClient, store: ReadingsRepository
) -> None:
    """One meter is complete, one has gaps, one is silent, one sends once a day, and one has a single reading."""
    quarters = [MIDNIGHT + n * timedelta(minutes=15) for n in range(4 * 71 + 1)]
    with_gaps = [time for n, time in enumerate(quarters) if n % 10 != 3 and n != 0]
    daily = [MIDNIGHT + day * timedelta(days=1) for day in range(3)]
    store_all(
        store,
        hourly("complete", range(72)),
        some_times("gaps", with_gaps),
        hourly("silent", range(24)),
        some_times("daily", daily),
        hourly("single", range(70, 71)),
    )
    answer = get(client)
    assert list(answer) == ["next", "results"]
    assert answer["next"] is None
    assert list(answer["results"][0]) == [
        "device_id", "first_reading", "last_reading", "readings", "completeness_last_day", "completeness",
        "customer_class",
    ]  # fmt: skip
    found = {meter.pop("device_id"): list(meter.values()) for meter in answer["results"]}
    midnight, last = "2026-05-01 00:00:00.000000", "2026-05-03 23:00:00.000000"
    assert found["complete"] == [midnight, last, 72, 1.0, 1.0, None]
    # The first of 285 quarters is missing before its first reading, so 284 are expected.
    expected = int(len(with_gaps) / 284 * 10_000) / 10_000
    of_day = sum(1 for time in with_gaps if time > quarters[-1] - timedelta(days=1))
    gaps = ["2026-05-01 00:15:00.000000", last, len(with_gaps), int(of_day / 96 * 10_000) / 10_000]
    assert found["gaps"] == [*gaps, expected, None]
    assert found["silent"] == [midnight, "2026-05-01 23:00:00.000000", 24, 0.0, 0.3333, None]
    assert found["daily"] == [midnight, "2026-05-03 00:00:00.000000", 3, 1.0, 1.0, None]
    single = "2026-05-03 22:00:00.000000"
    assert found["single"] == [single, single, 1, None, None, None]


def test_meters_with_different_last_days_are_read_by_one_call(
    client: APIClient, store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_all(store, *(hourly(f"stopped-{day}", range(24 * day)) for day in range(1, 4)))
    calls: list[tuple[Window, ...]] = []
    read = DeltaSnapshot.reading_times

    def record(snapshot: DeltaSnapshot, *windows: Window) -> pl.DataFrame:
        calls.append(windows)
        return read(snapshot, *windows)

    monkeypatch.setattr(DeltaSnapshot, "reading_times", record)
    found = get(client)["results"]
    assert [meter["completeness"] for meter in found] == [0.3333, 0.6666, 1.0]
    [windows] = calls
    assert [window.device_ids for window in sorted(windows, key=lambda each: each.start)] == [
        ("stopped-1",), ("stopped-2",), ("stopped-3",)
    ]  # fmt: skip


def test_reading_meters_with_different_last_days_can_be_cancelled(
    store: ReadingsRepository,
) -> None:
    """A page can have 1,000 meters, and as many last days."""
    days = range(1, 4)
    store_all(store, *(hourly(f"stopped-{day}", range(24 * day)) for day in days))
    windows = [Window(MIDNIGHT, device_ids=(f"stopped-{day}",)) for day in days]
    checks = []

    def needed_twice() -> None:
        checks.append("needed")
        if len(checks) > 2:
            raise NotNeededError

    with cancel_when(needed_twice), pytest.raises(NotNeededError):
        store.snapshot().reading_times(*windows)
    assert len(store.snapshot().reading_times(*windows)) == 24 * sum(days)


def test_pages_are_in_byte_order_and_next_leads_through_all_of_them(
    client: APIClient,
    store: ReadingsRepository,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    store_all(store, *(hourly(device_id, range(2)) for device_id in IDS))
    describe(store)
    described_repository()
    # Two for the API key, one for the meters, and one for the newest interval.
    with django_assert_max_num_queries(4):
        get(client)
    assert all_pages(client, page_size=4) == [IDS[:4], IDS[4:]]
    assert all_pages(client, page_size=6) == [IDS]
    assert all_pages(client, page_size=1, prefix="A_1") == [["A_1"], ["A_1/x"]]
    assert all_pages(client, prefix="A%") == [["A%1"]]
    assert all_pages(client, prefix="a") == [["a#b"]]
    assert all_pages(client, prefix="B ") == [["B 2"]]
    assert all_pages(client, prefix="x") == [[]]


def test_silent_meters_are_listed_the_longest_silent_first(
    client: APIClient, store: ReadingsRepository
) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    hours_ago = {"A": 1, "B": 3, "C": 30, "D": 3, "A2": 3, "E": 100}
    last = {device_id: now - hours * HOUR for device_id, hours in hours_ago.items()}
    store_all(store, *(some_times(each, [time - HOUR, time]) for each, time in last.items()))
    # The table may be older than the readings.
    Meter.objects.filter(device_id="A").update(last_time=now - 5 * HOUR)
    assert all_pages(client, silent_for="2h") == [["E", "C", "A2", "B", "D"]]
    assert all_pages(client, silent_for="2h", page_size=2) == [["E", "C"], ["A2"], ["B", "D"]]
    assert all_pages(client, silent_for="2h", prefix="A") == [["A2"]]
    assert all_pages(client, silent_for="1d", prefix="C", page_size=1) == [["C"]]
    assert all_pages(client, silent_for="4d") == [["E"]]
    assert all_pages(client, silent_for="30m") == [["E", "C", "A", "A2", "B", "D"]]


def test_a_meter_whose_readings_were_deleted_has_no_first_and_last_reading(
    client: APIClient, store: ReadingsRepository
) -> None:
    Meter.objects.create(device_id="gone", last_day=MIDNIGHT.date(), last_time=MIDNIGHT)
    [meter] = get(client)["results"]
    assert [*meter.values()] == ["gone", None, None, 0, None, None, None]
    assert all_pages(client, silent_for="1d") == [["gone"]]


def test_the_customer_class_is_that_of_the_simulated_fleet(
    client: APIClient, store: ReadingsRepository, settings: Settings
) -> None:
    settings.SIMULATION_PROFILE, settings.SIMULATION_DEVICES = "mixed", 30
    fleet = Fleet(devices=30)
    store_all(store, readings_for(fleet, MIDNIGHT), hourly("not simulated", range(1)))
    classes = {each["device_id"]: each["customer_class"] for each in get(client)["results"]}
    assert len(classes) == 31
    assert classes.pop("not simulated") is None
    assert "household" in classes.values()
    assert None not in classes.values()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"silent_for": "2 h"}, "silent_for takes a number of minutes, hours or days"),
        ({"silent_for": "2w"}, "like 30m, 2h or 3d."),
        ({"silent_for": "0h"}, "silent_for takes"),
        ({"silent_for": "1" * 99 + "d"}, "silent_for takes"),
        ({"silent_for": ""}, "silent_for takes"),
        ({"page_size": 1001}, "page_size takes a whole number from 1 to 1000."),
        ({"prefix": "x" * 65}, "prefix takes the first 1 to 64 characters of device ids."),
        ({"prefix": "a,b"}, "prefix contains a comma, which no device id can contain."),
        ({"prefix": "a\nb"}, "prefix takes"),
        ({"prefix": ""}, "prefix takes"),
        ({"cursor": "2026-05-01,x"}, "cursor is not the value of a next link"),
        ({"cursor": "x", "silent_for": "2h"}, "cursor is not"),
        ({"cursor": "yesterday,x", "silent_for": "2h"}, "cursor is not"),
        ({"colour": "red"}, "Known are prefix, silent_for, page_size, cursor."),
    ],
)
def test_a_wrong_parameter_is_named(
    client: APIClient, query: dict[str, str], sentence: str
) -> None:
    answer = client.get("/meters", query)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


def test_no_value_of_a_parameter_is_a_5xx(client: APIClient, store: ReadingsRepository) -> None:
    store_all(store, hourly("y", range(2)))
    for value in POISON:
        for query in (
            {"prefix": value},
            {"silent_for": value},
            {"page_size": value},
            {"cursor": value},
            {"cursor": f"{value},x", "silent_for": "30m"},
            {"prefix": value, "silent_for": "99999d"},
        ):
            assert client.get("/meters", query).status_code in (200, 400), query
        assert client.get(f"/meters/{quote(value, safe='')}/latest").status_code in (400, 404)


def test_meters_need_an_api_key(db: None) -> None:
    for path in ("/meters", "/meters/", "/meters/x/latest", "/meters/x/latest/"):
        assert APIClient().get(path).status_code == 401
