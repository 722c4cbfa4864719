"""Tests of the page of readings and the pages of meters: calendar, charts, search and gaps."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries

from exports.models import Supplier
from headend.portal import charts
from headend.portal.coverage_calendar import calendar_weeks
from headend.portal.fleet_load import load_points
from headend.portal.meter_readings import missing_intervals
from readings.models import IntervalTotals
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.totals import update_totals
from tests.headend.portal.conftest import METERS
from tests.headend.portal.markup import get_page

FIVE_MINUTES = timedelta(minutes=5)
FLEET = Fleet(devices=METERS)
START = datetime(2023, 2, 27, 16, tzinfo=UTC)
FIRST = FLEET.meters.device_id[0]

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored_hour(store: ReadingsRepository) -> None:
    """Store an hour of the fleet's readings and their interval totals."""
    for time in FLEET.intervals(START, START + 11 * FIVE_MINUTES):
        store.write(readings_for(FLEET, time))
    update_totals(store.snapshot())


def totals(start: datetime, count: int, step: timedelta = FIVE_MINUTES, **values: float) -> None:
    """Store the totals of consecutive intervals; ``values`` replace the defaults."""
    fields = {"readings": METERS, "late": 0, "kw": 10.0} | values
    IntervalTotals.objects.bulk_create(
        IntervalTotals(time=start + n * step, **fields) for n in range(count)
    )


# --- the calendar --------------------------------------------------------------------------
def test_the_calendar_shows_how_complete_each_day_is() -> None:
    monday = datetime(2026, 5, 4, tzinfo=UTC)
    totals(monday, 288)
    totals(monday + timedelta(days=1), 288, readings=95, late=3)
    totals(monday + timedelta(days=2), 100)
    newest, before = (week.days for week in calendar_weeks(monday + timedelta(days=3))[:2])
    assert [day and day.completeness for day in newest] == [
        "complete",
        "most",
        "partial",
        "missing",
        None,
        None,
        None,
    ]
    assert [day.percent for day in newest[:3] if day] == [100.0, 95.0, 34.7]
    assert [(day.late, day.intervals) for day in newest[:3] if day] == [
        (0, 288),
        (864, 288),
        (0, 100),
    ]
    assert {day.completeness for day in before if day} == {"missing"}


def test_a_day_is_complete_if_only_times_before_the_first_reading_or_in_the_future_are_missing() -> (
    None
):
    monday = datetime(2026, 5, 4, tzinfo=UTC)
    totals(monday + timedelta(hours=18), 72)
    totals(monday + timedelta(days=1), 96)
    at_eight = monday + timedelta(days=1, hours=8, minutes=1)
    assert [day and day.completeness for day in calendar_weeks(at_eight)[0].days[:3]] == [
        "complete",
        "complete",
        None,
    ]
    at_nine = at_eight + timedelta(hours=1)
    percents = [day.percent for day in calendar_weeks(at_nine)[0].days if day]
    assert percents == [100.0, 88.8]  # 96 of 108


def test_half_a_year_needs_two_queries_and_shows_its_months() -> None:
    totals(datetime(2026, 1, 1, tzinfo=UTC), 200, step=timedelta(days=1))
    with assertNumQueries(2):
        shown = calendar_weeks(datetime(2026, 5, 7, tzinfo=UTC))
    assert len(shown) == 27
    months = [week.first_of_month.month for week in shown if week.first_of_month]
    assert months == [5, 4, 3, 2, 1, 12]


# --- the load chart ------------------------------------------------------------------------
def test_the_load_of_a_short_window_has_one_point_per_interval() -> None:
    totals(START, 288)
    assert len(load_points(START, START + timedelta(days=1))) == 288


def test_the_load_of_a_year_has_hourly_means_and_a_short_path() -> None:
    year = timedelta(days=365)
    totals(START, 365 * 24 * 2, step=timedelta(minutes=30))
    points = load_points(START, START + year)
    assert len(points) == 365 * 24
    chart = charts.line_chart("load", "kW", points, START, START + year)
    assert chart.path.count(" ") <= 2 * charts.MAX_POINTS


@pytest.mark.usefixtures("stored_hour")
def test_the_page_shows_the_window_of_the_url_query(operator: Client) -> None:
    page = get_page(operator, "/fleet/?start=2023-02-27+16:10&end=2023-02-27+16:30")
    assert (
        "500 readings in 5 intervals, 0 of them late. At most 100 meters in one interval." in page
    )
    assert 'class="curve"' in page


@pytest.mark.usefixtures("stored_hour")
def test_the_export_link_fills_in_the_window(operator: Client) -> None:
    Supplier.objects.create(name="alice")
    page = get_page(operator, "/fleet/?start=2023-02-27+16:10&end=2023-02-27+16:30")
    [link] = re.findall(r'href="(/requests/new/[^"]+)"', page)
    form = operator.get(html.unescape(link)).content.decode()
    assert 'value="2023-02-27 16:10:00"' in form
    assert 'value="2023-02-27 16:30:00"' in form


@pytest.mark.usefixtures("stored_hour")
@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("start=x&end=2023-02-28", "is not a date"),
        ("start=2023-02-28&end=2023-02-27", "“To” must be later than “From”."),
        ("start=2023-02-28", "This field is required."),
    ],
)
def test_an_invalid_window_shows_an_error(operator: Client, query: str, error: str) -> None:
    assert error in operator.get(f"/fleet/?{query}").content.decode()


@pytest.mark.usefixtures("stored_hour")
def test_the_page_needs_eight_queries(operator: Client) -> None:
    with assertNumQueries(8):
        operator.get("/fleet/")


def test_a_deployment_without_readings_shows_how_to_add_some(operator: Client) -> None:
    assert "python manage.py backfill" in operator.get("/fleet/").content.decode()


# --- meters --------------------------------------------------------------------------------
@pytest.mark.usefixtures("stored_hour")
def test_a_meter_is_found_by_the_first_characters_of_its_id(operator: Client) -> None:
    assert (
        operator.get(f"/fleet/meters/?q={FIRST[:13].upper()}")["Location"]
        == f"/fleet/meters/{FIRST}/"
    )
    several = sorted(meter for meter in FLEET.meters.device_id if meter.startswith(FIRST[0]))
    page = get_page(operator, f"/fleet/meters/?q={FIRST[0]}")
    assert len(several) > 1
    assert all(f"/fleet/meters/{meter}/" in page for meter in several)
    assert "No meter" in operator.get("/fleet/meters/?q=zz").content.decode()
    assert "More meters match" not in page


@pytest.mark.usefixtures("stored_hour")
def test_the_page_of_a_meter_shows_its_charts_and_totals(operator: Client) -> None:
    page = get_page(operator, f"/fleet/meters/{FIRST}/")
    assert page.count('class="curve"') == 4
    assert "12 readings, 0 of them late. Contracted load: " in page
    for title in ("Active power", "Voltage", "Current", "Power factor"):
        assert title in page


def test_missing_intervals_of_a_meter_are_listed(
    operator: Client, store: ReadingsRepository
) -> None:
    for time in FLEET.intervals(START, START + 11 * FIVE_MINUTES):
        if time != START + 4 * FIVE_MINUTES:
            store.write(readings_for(FLEET, time))
    update_totals(store.snapshot())
    window = "start=2023-02-27+16:00&end=2023-02-27+16:55"
    page = get_page(operator, f"/fleet/meters/{FIRST}/?{window}")
    assert "1 interval missing" in page
    assert ">2023-02-27 16:20</time>" in page


@pytest.mark.usefixtures("stored_hour")
def test_a_long_window_of_a_meter_shows_hourly_means(operator: Client) -> None:
    page = get_page(operator, f"/fleet/meters/{FIRST}/?start=2023-02-20&end=2023-03-10")
    assert "12 readings, 0 of them late. Contracted load: " in page
    assert "The charts show hourly means." in page
    assert page.count('class="curve"') == 4
    # Eighteen days of 288 intervals and one more instant, of which twelve are stored.
    assert f"{18 * 288 + 1 - 12:,} intervals missing" in page
    assert "12 in this hour" in page


@pytest.mark.usefixtures("stored_hour")
def test_an_unknown_meter_is_not_found(operator: Client) -> None:
    missing = "00000000-0000-0000-0000-000000000000"
    assert operator.get(f"/fleet/meters/{missing}/").status_code == 404


def test_the_pages_need_a_login_and_staff(client: Client, django_user_model: type[User]) -> None:
    paths = ("/fleet/", "/fleet/meters/", f"/fleet/meters/{FIRST}/")
    for path in paths:
        assert client.get(path)["Location"].startswith("/login/")
    client.force_login(django_user_model.objects.create_user("stranger"))
    for path in paths:
        assert client.get(path).status_code == 403


def test_intervals_in_the_future_are_not_missing() -> None:
    now = timezone.now()
    missing = missing_intervals([], now - timedelta(hours=1), now + timedelta(hours=9))
    assert all(time <= now for time in missing)
