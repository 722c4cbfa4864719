"""The work for a request depends on the stored data, not on the window, the page or the offset that the caller names."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from exports.models import Supplier
from headend.portal.meter_readings import by_hour, by_interval
from readings import frame
from readings.repositories import ReadingsRepository
from readings.repositories.base import HOURLY_MEANS_SCHEMA
from readings.repositories.delta.minute_reader import DeltaMinuteReader
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.simulation.arrivals import readings_for
from readings.totals import update_totals
from tests.headend.portal.conftest import FIRST_METER, FLEET, HOUR_START
from tests.suppliers import api_client

pytestmark = pytest.mark.django_db

DECADES = {"start": "1970-01-01", "end": f"{datetime.now(UTC).year + 9}-12-31"}
"""The longest window that a caller can name, less than a year shorter."""
MILLENNIA = {"start": "0026-01-01", "end": "2026-01-01"}
LARGE = "1000000000"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each operation of the repository is called."""
    counter: Counter[str] = Counter()
    operations = [
        *((DeltaSnapshot, name) for name in ("page", "frames", "hourly_means", "minute_counts")),
        *((DeltaMinuteReader, name) for name in ("count", "read", "read_chunk", "search", "scan")),
    ]
    for owner, name in operations:
        monkeypatch.setattr(owner, name, _counted(counter, name, getattr(owner, name)))
    return counter


def _counted(counter: Counter[str], name: str, operation: Any) -> Any:
    def counted(*arguments: Any, **options: Any) -> Any:
        counter[name] += 1
        return operation(*arguments, **options)

    return counted


@pytest.mark.usefixtures("stored_hour")
@pytest.mark.parametrize(
    ("path", "most"),
    [
        (f"/fleet/meters/{FIRST_METER}/", {"page": 3, "hourly_means": 1}),
        ("/fleet/", {}),
        ("/requests/estimate/", {}),
        ("/requests/", {}),
    ],
)
def test_a_window_of_decades_takes_as_many_calls_as_one_of_weeks(
    operator: Client, calls: Counter[str], path: str, most: dict[str, int]
) -> None:
    Supplier.objects.create(name="alice")
    form = {"supplier": "alice", "format": "csv"} if "requests" in path else {}
    work = []
    for window in ({"start": "2023-02-20", "end": "2023-03-10"}, DECADES):
        calls.clear()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert operator.get(path, window | form).status_code == 200
        work.append((dict(calls), len(queries)))
    assert work[0] == work[1]
    assert {
        name: count for name, count in calls.items() if name in ("page", "hourly_means")
    } == most


@pytest.mark.usefixtures("stored_hour")
@pytest.mark.parametrize("path", [f"/fleet/meters/{FIRST_METER}/", "/fleet/"])
def test_a_window_of_millennia_is_refused(operator: Client, path: str) -> None:
    page = operator.get(path, MILLENNIA).content.decode()
    assert "is not between 1970-01-01 and ten years from now" in page


def test_missing_intervals_of_decades_are_counted_and_not_listed() -> None:
    """A meter with readings every minute. The list would have 27 million instants."""
    start, end = datetime(1970, 1, 1, tzinfo=UTC), datetime(2022, 1, 1, tzinfo=UTC)
    hour = datetime(2000, 1, 1, 12, tzinfo=UTC)
    hours = pl.DataFrame([{"hour": hour, "readings": 58, "late": 0}], schema=HOURLY_MEANS_SCHEMA)
    meter = by_hour(hours, _readings([hour, hour + timedelta(minutes=1)]), start, end)
    before, within, after = meter.gaps
    assert (before.start, before.end) == (start, hour - timedelta(minutes=1))
    assert (within.start, within.missing, within.is_hour) == (hour, 2, True)
    assert (after.start, after.end) == (hour + timedelta(hours=1), end)
    assert meter.missing == (end - start) // timedelta(minutes=1) + 1 - 58


def test_readings_a_microsecond_apart_do_not_make_an_interval_of_a_microsecond() -> None:
    """The list of missing intervals would have 86 thousand million instants."""
    start = datetime(2023, 2, 27, tzinfo=UTC)
    times = [start + timedelta(hours=1, microseconds=n) for n in range(3)]
    meter = by_interval(_readings(times), start, start + timedelta(days=1))
    # A reading a minute is expected, and one of the 1,440 is stored.
    assert meter.missing == 1439
    assert len(meter.gaps) <= 2


def _readings(times: list[datetime]) -> pl.DataFrame:
    one = readings_for(FLEET, HOUR_START).head(1)
    at = pl.Series("time", times, frame.INSTANT)
    return pl.concat([one] * len(times)).with_columns(at)


@pytest.mark.parametrize("path", ["/requests/", "/deliveries/", "/suppliers/"])
def test_a_page_number_of_a_thousand_million_takes_no_more_queries(
    operator: Client, path: str
) -> None:
    Supplier.objects.create(name="alice")
    with CaptureQueriesContext(connection) as first:
        operator.get(path)
    for number in (LARGE, "9" * 30, "-1", "1e9", "\u0661"):
        with CaptureQueriesContext(connection) as large:
            assert operator.get(path, {"page": number}).status_code == 200
        assert len(large) <= len(first), number


def test_the_api_reads_nothing_beyond_the_stored_readings(
    store: ReadingsRepository, calls: Counter[str]
) -> None:
    store.write(
        pl.concat(readings_for(FLEET, time) for time in FLEET.intervals(HOUR_START, HOUR_START))
    )
    update_totals(store.snapshot())
    client = api_client(Supplier.objects.create(name="alice"))
    window = {"start_date": DECADES["start"], "end_date": DECADES["end"]}
    for path, query in (
        ("/readings", window | {"offset": str(2**62), "page_size": "50000"}),
        ("/readings", window | {"after": f"9999-12-31 23:59:59,{FIRST_METER}"}),
        ("/readings", window | {"offset": "99"}),
    ):
        calls.clear()
        answer = client.get(path, query)
        assert answer.status_code == 200
        assert len(answer.json()["records"]) <= 1
        assert sum(calls.values()) <= 3, (query, calls)
    body = window | {"offset": 2**62, "device_id": [FIRST_METER] * 1000}
    calls.clear()
    assert client.post("/readings/query", body, "json").json()["records"] == []
    assert sum(calls.values()) <= 3
    calls.clear()
    assert client.post("/readings/file", window, "json").status_code == 200
    assert not calls
    assert client.get("/readings/files", {"page": LARGE}).status_code == 404
    assert client.get("/readings/files", {"page_size": LARGE}).status_code == 400
