"""Tests of the coverage calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.asserts import assertNumQueries

from headend.portal.coverage_calendar import calendar_weeks
from tests.headend.portal.conftest import store_totals

pytestmark = pytest.mark.django_db


def test_the_calendar_shows_how_complete_each_day_is() -> None:
    monday = datetime(2026, 5, 4, tzinfo=UTC)
    store_totals(monday, 288)
    store_totals(monday + timedelta(days=1), 288, readings=95, late=3)
    store_totals(monday + timedelta(days=2), 100)
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
    store_totals(monday + timedelta(hours=18), 72)
    store_totals(monday + timedelta(days=1), 96)
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
    store_totals(datetime(2026, 1, 1, tzinfo=UTC), 200, step=timedelta(days=1))
    with assertNumQueries(2):
        shown = calendar_weeks(datetime(2026, 5, 7, tzinfo=UTC))
    assert len(shown) == 27
    months = [week.first_of_month.month for week in shown if week.first_of_month]
    assert months == [5, 4, 3, 2, 1, 12]
