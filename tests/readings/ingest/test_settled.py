"""The newest instant up to which nothing more can arrive, and its use as the default of ``as_of``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from readings.ingest.deployment_fleet import deployment_fleet
from readings.ingest.live import write_due_readings
from readings.ingest.settled import settled_until
from readings.models import LiveArrival
from readings.repositories import ReadingsRepository

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
LATE = timedelta(minutes=7)


@pytest.fixture(autouse=True)
def small_fleet(db: None, settings: Settings, store: ReadingsRepository) -> ReadingsRepository:
    """A fleet of 20 meters, a third of them late by seven minutes. Its readings are written until noon."""
    settings.SIMULATION = True
    settings.SIMULATION_DEVICES = 20
    settings.SIMULATION_LATE_ARRIVALS = True
    settings.SIMULATION_LATE_PERCENT = 33
    settings.SIMULATION_LATE_MINUTES = 7
    write_due_readings(deployment_fleet(), store, NOON)
    return store


def test_without_a_simulated_fleet_it_is_a_minute_ago(settings: Settings) -> None:
    settings.SIMULATION = False
    assert settled_until(NOON) == NOON - MINUTE


def test_in_a_new_deployment_with_a_backfill_it_is_a_minute_ago() -> None:
    LiveArrival.objects.all().delete()
    assert settled_until(NOON + MINUTE) == NOON


def test_if_everything_due_is_written_it_is_a_minute_ago() -> None:
    assert settled_until(NOON + MINUTE) == NOON


def test_it_is_before_the_first_late_reading_that_is_due_and_not_written() -> None:
    assert settled_until(NOON + 4 * MINUTE) == NOON + 2 * MINUTE - MICROSECOND


def test_it_waits_while_the_fleet_is_stopped(small_fleet: ReadingsRepository) -> None:
    now = NOON + timedelta(hours=2)
    assert settled_until(now) == NOON + 2 * MINUTE - MICROSECOND
    write_due_readings(deployment_fleet(), small_fleet, now)
    assert settled_until(now) == now - MINUTE


def test_it_does_not_wait_for_readings_that_a_long_stop_has_lost() -> None:
    now = NOON + timedelta(days=5)
    # A catch-up of one day that began up to an hour ago may still be running.
    assert now - timedelta(hours=26) < settled_until(now) < now - timedelta(hours=25) + LATE
