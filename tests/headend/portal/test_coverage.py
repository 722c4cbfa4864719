"""Which missing readings may still arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pytest_django.fixtures import Settings

from headend.portal.coverage import IntervalCoverage, may_still_arrive

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_missing_readings_of_a_delivery_are_expected_to_arrive(settings: Settings) -> None:
    settings.SIMULATION_DELIVERY = "80,90,98,99"
    interval = IntervalCoverage(NOON, 85, 100, 0, 0.0)

    assert may_still_arrive(interval, NOON + timedelta(minutes=10))
    assert not may_still_arrive(interval, NOON + timedelta(days=2))
    settings.SIMULATION_DELIVERY = "off"
    assert not may_still_arrive(interval, NOON + timedelta(minutes=10))
