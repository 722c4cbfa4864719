"""Tests of the overview: coverage, alerts and access."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries
from pytest_django.fixtures import Settings

from exports.models import FileRequest, Status, Supplier
from headend.portal.overview import overview_context
from readings.models import IntervalTotals
from tests.headend.portal.conftest import METERS

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


@pytest.mark.usefixtures("two_days")
def test_a_complete_day_has_no_alerts() -> None:
    shown = overview_context(NOW)
    coverage, bars = shown["coverage"], shown["coverage_chart"].bars
    assert (coverage.percent, len(bars), coverage.late) == (100.0, 288, 144)
    assert {bar.kind for bar in bars} == {"complete"}
    assert (shown["newest"], shown["alerts"]) == (NEWEST, [])


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
    assert alert_messages()[0].startswith("No readings have arrived for 33")


def test_no_readings_are_expected_before_the_first_reading() -> None:
    IntervalTotals.objects.create(time=NEWEST - FIVE_MINUTES, readings=METERS, late=0, kw=1.0)
    IntervalTotals.objects.create(time=NEWEST, readings=METERS, late=0, kw=1.0)
    assert overview_context(NOW)["coverage"].percent == 100.0
    assert alert_messages() == []


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
def test_without_a_simulated_fleet_the_largest_interval_sets_the_expectation(
    settings: Settings,
) -> None:
    settings.SIMULATION = False
    IntervalTotals.objects.filter(time=NEWEST).update(readings=120)
    assert overview_context(NOW)["coverage"].expected == 288 * 120


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
        "1 file request has been queued for more than 10 minutes.",
    ]


@pytest.mark.usefixtures("two_days")
def test_the_overview_needs_thirteen_queries() -> None:
    with assertNumQueries(13):
        overview_context(NOW)


def test_a_deployment_without_readings_shows_how_to_add_some(operator: Client) -> None:
    page = operator.get("/").content.decode()
    assert "python manage.py backfill" in page
    assert "<svg" not in page


@pytest.mark.usefixtures("two_days")
def test_the_page_has_a_coverage_chart_and_two_load_charts(operator: Client) -> None:
    now = timezone.now()
    IntervalTotals.objects.create(time=now - timedelta(hours=1), readings=50, late=0, kw=7.0)
    page = operator.get("/").content.decode()
    assert page.count("<svg") == 3
    assert 'class="curve"' in page


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
