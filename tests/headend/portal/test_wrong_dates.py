"""A table that holds readings with wrong dates, as files of earlier releases could: pages and tasks still work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from django.db.models import Max
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports.models import Supplier
from headend.deployment.outputs import Outputs
from headend.portal.coverage import recent_coverage
from headend.portal.coverage_calendar import calendar_weeks
from readings import tasks
from readings.feed import newest_interval
from readings.models import IntervalTotals
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from tests.headend.portal.conftest import FIRST_METER, FIVE_MINUTES, FLEET, METERS
from tests.suppliers import api_client

pytestmark = pytest.mark.django_db

WRONG = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1900, 1, 1, tzinfo=UTC),
    datetime(2203, 5, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]
COMPLETE_DAYS = 3


@pytest.fixture
def newest(store: ReadingsRepository) -> datetime:
    """The newest right interval of a table that has readings of three hours, of past days, and of wrong dates."""
    newest = FLEET.newest_interval(timezone.now()) - FIVE_MINUTES
    times = [
        *(newest - timedelta(days=days) for days in range(COMPLETE_DAYS, 0, -1)),
        *FLEET.intervals(newest - timedelta(hours=3), newest),
    ]
    store.write(pl.concat([readings_for(FLEET, time) for time in times]))
    one = readings_for(FLEET, newest).head(1)
    for wrong in WRONG:
        store.write(one.with_columns(pl.lit(wrong).cast(one["time"].dtype).alias("time")))
    tasks.update_interval_totals()
    return newest


def test_the_coverage_is_that_of_the_right_readings(newest: datetime) -> None:
    assert newest_interval() == newest
    coverage = recent_coverage(newest + timedelta(minutes=4))
    assert coverage.intervals[-1].time == newest
    assert (coverage.intervals[-1].readings, coverage.intervals[-1].expected) == (METERS, METERS)
    assert coverage.percent <= 100
    weeks = calendar_weeks(newest + timedelta(minutes=4))
    days = [day for week in weeks for day in week.days if day and day.readings]
    assert sum(day.readings for day in days) == METERS * (37 + COMPLETE_DAYS)


def test_without_a_simulation_wrong_dates_do_not_change_how_many_meters_are_expected(
    newest: datetime, settings: Settings
) -> None:
    settings.SIMULATION = False
    coverage = recent_coverage(newest + timedelta(minutes=4))
    assert coverage.intervals[-1].expected == METERS


def test_every_page_opens_and_shows_the_newest_right_readings(
    newest: datetime, operator: Client
) -> None:
    shown = f"{newest:%Y-%m-%d %H:%M}"
    for path in (
        "/",
        "/fleet/",
        f"/fleet/meters/{FIRST_METER}/",
        "/fleet/meters/?q=0",
        "/requests/",
    ):
        assert operator.get(path).status_code == 200, path
    assert shown in operator.get("/fleet/").content.decode()
    assert shown in operator.get(f"/fleet/meters/{FIRST_METER}/").content.decode()


def test_wrong_dates_have_no_totals(newest: datetime) -> None:
    for wrong in WRONG:
        IntervalTotals.objects.create(time=wrong, readings=1, late=0, kw=1)
    tasks.update_interval_totals()
    assert IntervalTotals.objects.count() == 37 + COMPLETE_DAYS
    assert IntervalTotals.objects.aggregate(newest=Max("time"))["newest"] == newest


def test_a_date_in_the_next_ten_years_is_not_the_newest_interval(
    newest: datetime, store: ReadingsRepository
) -> None:
    store.write(readings_for(FLEET, newest + timedelta(days=365)))
    tasks.update_interval_totals()
    assert newest_interval() == newest


def test_maintenance_compacts_and_caches_the_right_days(
    newest: datetime, store: ReadingsRepository, settings: Settings
) -> None:
    settings.READINGS_RETENTION_DAYS = 36_500
    tasks.maintain_repository()
    tasks.update_interval_totals()
    days = store.snapshot().day_summaries()["day"].to_list()
    assert days[0] == (newest - timedelta(days=COMPLETE_DAYS)).date()
    assert [day.year for day in days[-2:]] == [2203, 9999]
    assert store.maintain()["days summed up"] == 0


def test_the_commands_that_are_printed_ask_for_the_newest_right_readings(newest: datetime) -> None:
    outputs = Outputs(
        "http://x", "k", "x", 1, "u", "s", "/key", "/known", "http://x/", "o", lambda: "p"
    )
    assert f"start_date={newest - FIVE_MINUTES:%Y-%m-%d %H:%M}" in outputs.as_text()


def test_the_api_follows_pages_over_all_readings(newest: datetime) -> None:
    client = api_client(Supplier.objects.create(name="alice"))
    query = {"start_date": f"{newest - timedelta(minutes=1)}", "page_size": str(METERS + 1)}
    page = client.get("/readings", query).json()
    assert page["results"]["last_date"] == "2203-05-01 00:00:00.000000"
    page = client.get(page["next"]).json()
    assert [record["time"] for record in page["records"]] == ["9999-12-31 23:59:59.999999"]
    assert page["next"] is None
