"""Readings: the calendar, the curve of any window, the way to a meter and to an export."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries

from exports.models import Supplier
from headend.portal import charts
from headend.portal.calendar import weeks
from headend.portal.fleet import load
from readings.models import IntervalTotals
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.totals import update_totals
from tests.headend.portal.conftest import METERS

FIVE = timedelta(minutes=5)
FLEET = Fleet(devices=METERS)
START = datetime(2023, 2, 27, 16, tzinfo=UTC)
FIRST = FLEET.meters.device_id[0]

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(store: ReadingsRepository) -> None:
    """An hour of the fleet, kept and summed up."""
    for time in FLEET.intervals(START, START + 11 * FIVE):
        store.write(readings_for(FLEET, time))
    update_totals(store.snapshot())


def totals(start: datetime, count: int, step: timedelta = FIVE, **values: float) -> None:
    given = {"readings": METERS, "late": 0, "kw": 10.0} | values
    IntervalTotals.objects.bulk_create(
        IntervalTotals(time=start + n * step, **given) for n in range(count)
    )


# --- the calendar --------------------------------------------------------------------------
def test_the_calendar_tells_whole_days_from_others() -> None:
    monday = datetime(2026, 5, 4, tzinfo=UTC)
    totals(monday, 288)
    totals(monday + timedelta(days=1), 288, readings=95, late=3)
    totals(monday + timedelta(days=2), 100)
    newest, before = (week.days for week in weeks(monday + timedelta(days=3))[:2])
    assert [day and day.kind for day in newest] == [
        "full",
        "most",
        "part",
        "none",
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
    assert {day.kind for day in before if day} == {"none"}


def test_nothing_is_missing_of_a_day_before_the_first_reading_and_before_its_time() -> None:
    monday = datetime(2026, 5, 4, tzinfo=UTC)
    totals(monday + timedelta(hours=18), 72)
    totals(monday + timedelta(days=1), 96)
    at_eight = monday + timedelta(days=1, hours=8, minutes=1)
    assert [day and day.kind for day in weeks(at_eight)[0].days[:3]] == ["full", "full", None]
    at_nine = at_eight + timedelta(hours=1)
    percents = [day.percent for day in weeks(at_nine)[0].days if day]
    assert percents == [100.0, 88.8]  # 96 of 108


def test_half_a_year_is_shown_in_few_queries_with_its_months_named() -> None:
    totals(datetime(2026, 1, 1, tzinfo=UTC), 200, step=timedelta(days=1))
    with assertNumQueries(2):
        shown = weeks(datetime(2026, 5, 7, tzinfo=UTC))
    assert len(shown) == 27
    months = [week.begins.month for week in shown if week.begins]
    assert months == [5, 4, 3, 2, 1, 12]


# --- the curve -----------------------------------------------------------------------------
def test_a_short_windows_curve_has_every_interval() -> None:
    totals(START, 288)
    assert len(load(START, START + timedelta(days=1))) == 288


def test_a_years_curve_is_made_of_hourly_means_and_stays_small() -> None:
    year = timedelta(days=365)
    totals(START, 365 * 24 * 2, step=timedelta(minutes=30))
    points = load(START, START + year)
    assert len(points) == 365 * 24
    line = charts.line("load", "kW", points, START, START + year)
    assert line.path.count(" ") <= 2 * charts.MOST_POINTS


@pytest.mark.usefixtures("kept")
def test_the_page_shows_the_window_that_is_asked_for(operator: Client) -> None:
    page = operator.get("/fleet/?start=2023-02-27+16:10&end=2023-02-27+16:30").content.decode()
    assert "500 readings in 5 intervals, 0 of them late; 100 meters at most." in page
    assert 'class="curve"' in page


@pytest.mark.usefixtures("kept")
def test_a_window_is_exported_in_two_clicks(operator: Client) -> None:
    Supplier.objects.create(name="alice")
    page = operator.get("/fleet/?start=2023-02-27+16:10&end=2023-02-27+16:30").content.decode()
    link = page.split('class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    form = operator.get(link).content.decode()
    assert 'value="2023-02-27 16:10:00"' in form
    assert 'value="2023-02-27 16:30:00"' in form


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("start=x&end=2023-02-28", "is not a date"),
        ("start=2023-02-28&end=2023-02-27", "To is not after From."),
        ("start=2023-02-28", "This field is required."),
    ],
)
def test_a_window_that_is_none_is_said(operator: Client, query: str, sentence: str) -> None:
    assert sentence in operator.get(f"/fleet/?{query}").content.decode()


@pytest.mark.usefixtures("kept")
def test_the_page_takes_few_queries(operator: Client) -> None:
    with assertNumQueries(8):
        operator.get("/fleet/")


def test_an_empty_deployment_says_what_to_do(operator: Client) -> None:
    assert "python manage.py backfill" in operator.get("/fleet/").content.decode()


# --- meters --------------------------------------------------------------------------------
@pytest.mark.usefixtures("kept")
def test_a_meter_is_found_by_the_beginning_of_its_id(operator: Client) -> None:
    assert (
        operator.get(f"/fleet/meters/?q={FIRST[:13].upper()}")["Location"]
        == f"/fleet/meters/{FIRST}/"
    )
    several = sorted(meter for meter in FLEET.meters.device_id if meter.startswith(FIRST[0]))
    page = operator.get(f"/fleet/meters/?q={FIRST[0]}").content.decode()
    assert len(several) > 1
    assert all(f"/fleet/meters/{meter}/" in page for meter in several)
    assert "No meter" in operator.get("/fleet/meters/?q=zz").content.decode()
    assert "write more of the id" not in page


@pytest.mark.usefixtures("kept")
def test_a_meters_page_shows_what_it_measured(operator: Client) -> None:
    page = operator.get(f"/fleet/meters/{FIRST}/").content.decode()
    assert page.count('class="curve"') == 4
    assert "12 readings, 0 of them late; contracted load" in page
    for title in ("Active power", "Voltage", "Current", "Power factor"):
        assert title in page


def test_a_meters_gaps_are_listed(operator: Client, store: ReadingsRepository) -> None:
    for time in FLEET.intervals(START, START + 11 * FIVE):
        if time != START + 4 * FIVE:
            store.write(readings_for(FLEET, time))
    update_totals(store.snapshot())
    window = "start=2023-02-27+16:00&end=2023-02-27+16:55"
    page = operator.get(f"/fleet/meters/{FIRST}/?{window}").content.decode()
    assert "1 interval missing" in page
    assert ">2023-02-27 16:20</time>" in page


@pytest.mark.usefixtures("kept")
def test_a_long_window_of_a_meter_is_drawn_by_the_hour(operator: Client) -> None:
    page = operator.get(f"/fleet/meters/{FIRST}/?start=2023-02-20&end=2023-03-10").content.decode()
    assert "12 readings, 0 of them late; contracted load" in page
    assert "Drawn by the hour" in page
    assert page.count('class="curve"') == 4
    # Eighteen days and an instant of 288 intervals, of which twelve are there.
    assert f"{18 * 288 + 1 - 12:,} intervals missing" in page
    assert "12 in the hour" in page


@pytest.mark.usefixtures("kept")
def test_a_meter_there_is_not_is_not_found(operator: Client) -> None:
    missing = "00000000-0000-0000-0000-000000000000"
    assert operator.get(f"/fleet/meters/{missing}/").status_code == 404


def test_strangers_are_asked_who_they_are(client: Client, django_user_model: type[User]) -> None:
    paths = ("/fleet/", "/fleet/meters/", f"/fleet/meters/{FIRST}/")
    for path in paths:
        assert client.get(path)["Location"].startswith("/login/")
    client.force_login(django_user_model.objects.create_user("stranger"))
    for path in paths:
        assert client.get(path).status_code == 403


def test_intervals_to_come_are_no_gaps() -> None:
    from headend.portal.meter import missing

    now = timezone.now()
    assert all(
        time <= now for time in missing([], now - timedelta(hours=1), now + timedelta(hours=9))
    )
