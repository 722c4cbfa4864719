"""The overview: is data coming in, and what needs attention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertNumQueries
from pytest_django.fixtures import Settings

from exports.models import FileRequest, Status, Supplier
from headend.portal.overview import figures
from readings.models import IntervalTotals
from tests.headend.portal.conftest import METERS

NOW = datetime(2026, 5, 2, 12, 3, tzinfo=UTC)
FIVE = timedelta(minutes=5)
NEWEST = NOW.replace(minute=0)

pytestmark = pytest.mark.django_db


@pytest.fixture
def two_days() -> None:
    """Every interval of two days, whole."""
    IntervalTotals.objects.bulk_create(
        IntervalTotals(time=NEWEST - n * FIVE, readings=METERS, late=n % 2, kw=1_000.0)
        for n in range(2 * 288)
    )


def sentences() -> list[str]:
    return [each.sentence for each in figures(NOW)["attention"]]


@pytest.mark.usefixtures("two_days")
def test_a_whole_day_needs_no_attention() -> None:
    shown = figures(NOW)
    assert (shown["day"].percent, len(shown["bars"]), shown["day"].late) == (100.0, 288, 144)
    assert {bar.kind for bar in shown["bars"]} == {"full"}
    assert (shown["newest"], shown["attention"]) == (NEWEST, [])


@pytest.mark.usefixtures("two_days")
def test_what_is_missing_is_counted_and_told() -> None:
    IntervalTotals.objects.filter(time=NEWEST - 10 * FIVE).delete()
    IntervalTotals.objects.filter(time=NEWEST - 4 * FIVE).update(readings=40)
    day = figures(NOW)["day"]
    assert [(each.kind, each.readings) for each in day.incomplete] == [("none", 0), ("part", 40)]
    assert (day.readings, day.expected, day.percent) == (28_640, 28_800, 99.4)
    assert sentences() == [
        "2 of the last day's 288 intervals lack readings, the latest at 11:40 UTC."
    ]


@pytest.mark.usefixtures("two_days")
def test_a_feed_that_stopped_is_told_first() -> None:
    IntervalTotals.objects.filter(time__gt=NEWEST - 6 * FIVE).delete()
    assert sentences()[0].startswith("No readings have come in for 33")


def test_before_its_first_reading_nothing_is_expected_of_a_fleet() -> None:
    IntervalTotals.objects.create(time=NEWEST - FIVE, readings=METERS, late=0, kw=1.0)
    IntervalTotals.objects.create(time=NEWEST, readings=METERS, late=0, kw=1.0)
    assert figures(NOW)["day"].percent == 100.0
    assert sentences() == []


@pytest.mark.usefixtures("two_days")
def test_late_readings_are_waited_for(settings: Settings) -> None:
    settings.SIMULATION_LATE_ARRIVALS = True
    settings.SIMULATION_LATE_MINUTES = 60
    lately = IntervalTotals.objects.filter(time__gt=NEWEST - timedelta(minutes=50))
    lately.update(readings=METERS - 12)
    assert sentences() == []
    lately.update(readings=METERS - 50)
    assert len(sentences()) == 1


@pytest.mark.usefixtures("two_days")
def test_without_a_simulated_fleet_the_fullest_interval_is_the_measure(settings: Settings) -> None:
    settings.SIMULATION = False
    IntervalTotals.objects.filter(time=NEWEST).update(readings=120)
    assert figures(NOW)["day"].expected == 288 * 120


@pytest.mark.usefixtures("two_days")
def test_failed_and_waiting_requests_are_told() -> None:
    alice = Supplier.objects.create(name="alice")
    for status, reason in (
        (Status.FAILED, "The disk is full."), (Status.FAILED, "cancelled"), (Status.QUEUED, ""),
    ):  # fmt: skip
        made = FileRequest.objects.create(supplier=alice, start=NOW, end=NOW, reason=reason)
        finished = None if status == Status.QUEUED else NOW
        rows = FileRequest.objects.filter(pk=made.pk)
        rows.update(status=status, finished_at=finished, queued_at=NOW - timedelta(hours=1))
    assert sentences() == [
        "1 file request failed in the last day.",
        "1 file request waited for more than ten minutes.",
    ]


@pytest.mark.usefixtures("two_days")
def test_the_figures_take_few_queries() -> None:
    with assertNumQueries(11):
        figures(NOW)


def test_an_empty_deployment_says_what_to_do(operator: Client) -> None:
    page = operator.get("/").content.decode()
    assert "python manage.py backfill" in page
    assert "<svg" not in page


@pytest.mark.usefixtures("two_days")
def test_the_page_draws_the_day_and_the_loads(operator: Client) -> None:
    now = timezone.now()
    IntervalTotals.objects.create(time=now - timedelta(hours=1), readings=50, late=0, kw=7.0)
    page = operator.get("/").content.decode()
    assert page.count("<svg") == 3
    assert 'class="curve"' in page


def test_htmx_is_given_what_moves_alone(operator: Client) -> None:
    part = operator.get("/", headers={"HX-Request": "true"}).content.decode()
    assert "Needs attention" in part
    assert "<html" not in part


def test_strangers_are_asked_who_they_are(client: Client, django_user_model: type[User]) -> None:
    assert client.get("/")["Location"] == "/login/?next=/"
    client.force_login(django_user_model.objects.create_user("stranger"))
    assert client.get("/").status_code == 302


def test_a_page_may_load_nothing_from_elsewhere_and_nothing_inline(operator: Client) -> None:
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
