"""Tests of the overview: coverage, alerts and access."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries
from pytest_django.fixtures import Settings

from exports.models import FileRequest, Status, Supplier
from headend.monitoring import health
from headend.portal.coverage_calendar import calendar_weeks
from headend.portal.overview import overview_context
from readings.models import IntervalTotals
from tests.headend.portal.conftest import METERS, store_totals

NOW = datetime(2026, 5, 2, 12, 3, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
NEWEST = NOW.replace(minute=0)

pytestmark = pytest.mark.django_db


@pytest.fixture
def two_days() -> None:
    """Store complete interval totals for two days; every second interval has a late reading."""
    IntervalTotals.objects.bulk_create(
        IntervalTotals(time=NEWEST - n * FIVE_MINUTES, readings=METERS, late=n % 2, kw=1_000.0)
        for n in range(2 * 288)
    )


def alert_messages() -> list[str]:
    """Return the alerts of the overview."""
    return [alert.message for alert in overview_context(NOW)["alerts"]]


def no_problems() -> str:
    """Return what the overview says if nothing needs attention, without tags."""
    page = render_to_string("portal/_overview.html", overview_context(NOW))
    [text] = re.findall(r"<p>(\s*No problems.*?)</p>", page, re.DOTALL)
    return " ".join(re.sub(r"<.*?>", "", text).split())


@pytest.mark.usefixtures("two_days")
def test_a_complete_day_has_no_alerts() -> None:
    shown = overview_context(NOW)
    coverage, bars = shown["coverage"], shown["coverage_chart"].bars
    assert (coverage.percent, len(bars), coverage.late) == (100.0, 288, 144)
    assert {bar.kind for bar in bars} == {"complete"}
    assert (shown["newest"], shown["alerts"]) == (NEWEST, [])


@pytest.mark.usefixtures("two_days")
def test_a_service_that_cannot_be_used_is_the_first_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("the disk is not mounted")

    probe = health.Probe("store", "store of readings (READINGS_URL)", fail)
    monkeypatch.setattr(health, "readiness", health.Readiness(probe))
    [alert] = overview_context(NOW)["alerts"]
    assert (alert.message, alert.url) == (
        "The store of readings (READINGS_URL) cannot be used.",
        "/health/ready",
    )


@pytest.mark.usefixtures("two_days")
def test_the_newest_interval_counts_when_it_is_complete() -> None:
    just_stored = NEWEST + timedelta(seconds=30)
    shown = overview_context(just_stored)
    assert (shown["newest"], shown["coverage"].end) == (NEWEST, NEWEST + FIVE_MINUTES)
    IntervalTotals.objects.filter(time=NEWEST).update(readings=METERS - 1)
    coverage = overview_context(just_stored)["coverage"]
    assert (coverage.end, coverage.percent) == (NEWEST, 100.0)


@pytest.mark.usefixtures("two_days")
def test_incomplete_intervals_are_counted_and_reported() -> None:
    IntervalTotals.objects.filter(time=NEWEST - 10 * FIVE_MINUTES).delete()
    IntervalTotals.objects.filter(time=NEWEST - 4 * FIVE_MINUTES).update(readings=40)
    coverage = overview_context(NOW)["coverage"]
    assert [(each.completeness, each.readings) for each in coverage.incomplete] == [
        ("missing", 0),
        ("partial", 40),
    ]
    assert (coverage.readings, coverage.expected, coverage.percent) == (28_640, 28_800, 99.4)
    assert alert_messages() == [
        "2 of 288 intervals of the last 24 hours are incomplete, the latest at 11:40 UTC."
    ]


@pytest.mark.usefixtures("two_days")
def test_an_interrupted_feed_is_the_first_alert() -> None:
    IntervalTotals.objects.filter(time__gt=NEWEST - 6 * FIVE_MINUTES).delete()
    assert alert_messages()[0] == "No readings for 6 intervals (33\xa0minutes)."


def test_no_readings_are_expected_before_the_first_reading() -> None:
    IntervalTotals.objects.create(time=NEWEST - FIVE_MINUTES, readings=METERS, late=0, kw=1.0)
    IntervalTotals.objects.create(time=NEWEST, readings=METERS, late=0, kw=1.0)
    assert overview_context(NOW)["coverage"].percent == 100.0
    assert alert_messages() == []
    assert no_problems() == (
        "No problems. Every interval since 2026-05-02 11:55 UTC, the time of the first reading, is complete, "
        "and no file request or delivery has failed."
    )


@pytest.mark.usefixtures("two_days")
def test_with_readings_of_more_than_a_day_every_interval_of_the_day_is_complete() -> None:
    assert no_problems() == (
        "No problems. Every interval of the last 24 hours is complete, "
        "and no file request or delivery has failed."
    )


def test_meters_that_send_every_three_hours_do_not_begin_today(settings: Settings) -> None:
    settings.SIMULATION = False
    # The intervals are not those of midnight, so the first one of the coverage has no readings.
    first = NEWEST.replace(hour=1) - timedelta(days=3)
    store_totals(first, 24 + 4, step=timedelta(hours=3))
    assert overview_context(NOW)["first_reading"] is None


def test_without_readings_the_overview_says_nothing_about_intervals() -> None:
    assert no_problems() == "No problems. No file request or delivery has failed."


@pytest.mark.usefixtures("two_days")
def test_readings_that_may_still_arrive_are_not_reported(settings: Settings) -> None:
    settings.SIMULATION_LATE_ARRIVALS = True
    settings.SIMULATION_LATE_MINUTES = 60
    recent = IntervalTotals.objects.filter(time__gt=NEWEST - timedelta(minutes=50))
    recent.update(readings=METERS - 12)
    assert alert_messages() == []
    recent.update(readings=METERS - 50)
    assert len(alert_messages()) == 1


@pytest.mark.usefixtures("two_days")
def test_additional_readings_do_not_hide_missing_ones(settings: Settings) -> None:
    settings.SIMULATION = False
    IntervalTotals.objects.filter(time=NEWEST).update(readings=666)
    IntervalTotals.objects.filter(time=NEWEST - FIVE_MINUTES).update(readings=50)
    coverage = overview_context(NOW)["coverage"]
    assert (coverage.readings, coverage.expected) == (286 * 100 + 666 + 50, 287 * 100 + 666)
    assert coverage.percent == 99.8
    assert max(each.share for each in coverage.intervals) == 1.0


@pytest.mark.parametrize("simulation", [True, False])
@pytest.mark.usefixtures("two_days")
def test_a_changed_fleet_is_complete_before_and_after(
    settings: Settings, *, simulation: bool
) -> None:
    settings.SIMULATION = simulation
    IntervalTotals.objects.filter(time__lt=NEWEST.replace(hour=0)).update(readings=5_000)
    coverage = overview_context(NOW)["coverage"]
    # The window begins at 12:05 of yesterday: 143 intervals of 5,000 readings and 145 of 100.
    assert (coverage.readings, coverage.expected) == (143 * 5_000 + 145 * 100,) * 2
    assert (coverage.percent, alert_messages()) == (100.0, [])


@pytest.mark.parametrize("minutes", [1, 15, 30, 60])
def test_meters_with_another_interval_are_complete(settings: Settings, minutes: int) -> None:
    settings.SIMULATION = False
    step = timedelta(minutes=minutes)
    first = NEWEST - timedelta(days=2)
    store_totals(first, (NOW - first) // step + 1, step=step)
    shown = overview_context(NOW)
    assert (shown["coverage"].percent, shown["coverage"].incomplete) == (100.0, [])
    assert len(shown["coverage_chart"].bars) == timedelta(days=1) // step
    assert shown["alerts"] == []
    assert {day.percent for day in calendar_weeks(NOW)[0].days[3:6] if day} == {100.0}


def test_meters_with_different_intervals_are_expected_at_their_own_times(
    settings: Settings,
) -> None:
    settings.SIMULATION = False
    store_totals(NEWEST - timedelta(days=1), 289, readings=100)
    quarters = [NEWEST - n * timedelta(minutes=15) for n in range(97)]
    IntervalTotals.objects.filter(time__in=quarters).update(readings=120)
    coverage = overview_context(NOW)["coverage"]
    assert (coverage.expected, coverage.percent) == (96 * 120 + 192 * 100, 100.0)
    IntervalTotals.objects.filter(time=NEWEST).update(readings=100)
    [incomplete] = overview_context(NOW)["coverage"].incomplete
    assert (incomplete.time, incomplete.readings, incomplete.expected) == (NEWEST, 100, 120)


def test_readings_of_the_past_are_no_reason_for_an_alarm(settings: Settings) -> None:
    settings.SIMULATION = False
    store_totals(NEWEST - timedelta(days=400), 288)
    shown = overview_context(NOW)
    assert (shown["alerts"], shown["coverage"].expected) == ([], 0)
    settings.SIMULATION = True
    store_totals(NEWEST - 3 * FIVE_MINUTES, 4)
    assert (alert_messages(), overview_context(NOW)["coverage"].percent) == ([], 100.0)


def test_a_feed_that_stops_is_still_expected_the_next_day(settings: Settings) -> None:
    settings.SIMULATION = False
    store_totals(NEWEST - timedelta(days=3), 288)
    coverage = overview_context(NOW)["coverage"]
    assert (coverage.readings, coverage.expected, coverage.percent) == (0, 288 * METERS, 0.0)


def test_the_coverage_of_half_a_fleet_is_that_of_the_fleet_of_the_week(settings: Settings) -> None:
    settings.SIMULATION = False
    midnight = NEWEST.replace(hour=0)
    store_totals(midnight - timedelta(days=1), 288)
    store_totals(midnight, 145, readings=60)
    assert {each.expected for each in overview_context(NOW)["coverage"].intervals} == {METERS}


@pytest.mark.usefixtures("two_days")
def test_failed_and_waiting_requests_are_reported() -> None:
    alice = Supplier.objects.create(name="alice")
    for status, reason in (
        (Status.FAILED, "The disk is full."), (Status.FAILED, "cancelled"), (Status.QUEUED, ""),
    ):  # fmt: skip
        created = FileRequest.objects.create(supplier=alice, start=NOW, end=NOW, reason=reason)
        finished = None if status == Status.QUEUED else NOW
        rows = FileRequest.objects.filter(pk=created.pk)
        rows.update(status=status, finished_at=finished, queued_at=NOW - timedelta(hours=1))
    assert alert_messages() == [
        "1 file request failed in the last 24 hours.",
        "1 file request has been queued for more than 15 minutes.",
    ]


@pytest.mark.usefixtures("two_days")
def test_the_overview_needs_sixteen_queries() -> None:
    with assertNumQueries(16):
        overview_context(NOW)


def test_a_deployment_without_readings_shows_how_to_add_some(operator: Client) -> None:
    page = operator.get("/").content.decode()
    assert "python manage.py backfill" in page
    assert "<svg" not in page


@pytest.mark.usefixtures("two_days")
def test_energy_is_shown_if_readings_have_it() -> None:
    assert len(overview_context(NOW)["charts"]) == 2
    IntervalTotals.objects.update(import_kwh=50, export_kwh=1)
    # 24 hours before 12:03 have 288 intervals, the first one at 12:05.
    assert overview_context(NOW)["energy"] == {"imported": "14.4 MWh", "exported": "288 kWh"}
    assert "imported; 288 kWh exported" in render_to_string(
        "portal/_overview.html", overview_context(NOW)
    )
    IntervalTotals.objects.update(kw=0)
    [chart] = overview_context(NOW)["charts"]
    assert (chart.title, chart.unit) == ("Energy per hour, last 7 days", "kWh")


def test_the_page_has_a_coverage_chart_and_two_load_charts(operator: Client) -> None:
    now = timezone.now()
    IntervalTotals.objects.create(time=now - timedelta(hours=1), readings=50, late=0, kw=7.0)
    page = operator.get("/").content.decode()
    assert page.count("<svg") == 3
    legend = re.search(r'<p class="muted legend">(.*?)</p>', page, re.DOTALL)
    assert legend is not None
    assert re.findall(r"</span> ([\w, ]+)</span>", legend[1]) == [
        "stored, interval complete", "stored, interval incomplete", "missing",
    ]  # fmt: skip
    assert 'class="curve ' in page


def test_htmx_gets_only_the_content(operator: Client) -> None:
    fragment = operator.get("/", headers={"HX-Request": "true"}).content.decode()
    assert "Needs attention" in fragment
    assert "<html" not in fragment


def test_the_page_needs_a_login_and_redirects_users_who_are_not_staff(
    client: Client, django_user_model: type[User]
) -> None:
    assert client.get("/")["Location"] == "/login/?next=/"
    client.force_login(django_user_model.objects.create_user("stranger"))
    assert client.get("/").status_code == 302


def test_the_content_security_policy_allows_only_files_of_this_host(operator: Client) -> None:
    for path in ("/", "/requests/", "/admin/", "/api/docs/"):
        answer = operator.get(path)
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in f"{policy};"
        assert "unsafe" not in policy
        page = answer.content.decode()
        assert "<style" not in page
        assert " style=" not in page
        assert "onclick=" not in page
