"""The expected readings of a day on which the fleet grows."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pytest_django.fixtures import Settings

from readings.expectation import Expectation

TODAY = date(2026, 5, 2)
YESTERDAY = TODAY - timedelta(days=1)
FLEET, OWN = 50_000, 3
BEGIN = 10 * 60
"""The minute of the day at which the fleet begins."""


@pytest.fixture(autouse=True)
def limit_of_the_fleet(settings: Settings) -> None:
    settings.SIMULATION_DEVICES = FLEET


def fleet_since(minute: int) -> dict[int, int]:
    return dict.fromkeys(range(minute, 16 * 60, 5), FLEET)


def test_own_meters_of_a_past_day_do_not_make_a_fleet_expected_before_it_begins() -> None:
    own = dict.fromkeys(range(0, 1440, 15), OWN)
    expected = Expectation({YESTERDAY: own, TODAY: fleet_since(BEGIN)}).of_day(TODAY)
    assert min(expected) == BEGIN
    assert set(expected.values()) == {FLEET}
    # Intervals after its begin are expected, even those that are still to come.
    assert expected[20 * 60] == FLEET


def test_own_meters_of_this_morning_are_expected_until_the_fleet_begins() -> None:
    own = dict.fromkeys(range(8 * 60, BEGIN, 15), OWN)
    expected = Expectation({TODAY: own | fleet_since(BEGIN)}).of_day(TODAY)
    assert {minute: n for minute, n in expected.items() if minute < BEGIN} == own
    assert expected[BEGIN] == expected[BEGIN + 5] == FLEET


def test_a_fleet_of_the_week_before_is_expected_from_midnight_on() -> None:
    days = {YESTERDAY: fleet_since(0), TODAY: fleet_since(BEGIN)}
    assert Expectation(days).of_day(TODAY)[5] == FLEET
