"""The live fleet: each interval is written when it is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from readings import frame, tasks
from readings.ingest import live
from readings.models import LiveArrival
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FIVE = timedelta(minutes=5)
FLEET = Fleet(devices=60)
LATE = Fleet(devices=60, late_arrivals=True, late_minutes=12, late_percent=30)

pytestmark = pytest.mark.django_db


def everything(store: ReadingsRepository) -> pl.DataFrame:
    start = datetime(2000, 1, 1, tzinfo=UTC)
    return pl.concat([frame.empty(), *store.snapshot().frames(Window(start))])


def sent(fleet: Fleet, *times: datetime, by: datetime | None = None) -> pl.DataFrame:
    return pl.concat([readings_for(fleet, time, by) for time in times])


def test_the_interval_that_is_due_is_written_once(store: ReadingsRepository) -> None:
    assert live.write_due_readings(FLEET, store, NOON + timedelta(seconds=1)) == 60
    assert live.write_due_readings(FLEET, store, NOON + timedelta(minutes=4)) == 0
    assert everything(store).equals(sent(FLEET, NOON))
    assert live.write_due_readings(FLEET, store, NOON + FIVE) == 60
    assert [arrival.at for arrival in LiveArrival.objects.all()] == [NOON + FIVE, NOON]


def test_a_message_that_comes_twice_changes_nothing(store: ReadingsRepository) -> None:
    live.write_due_readings(FLEET, store, NOON)
    LiveArrival.objects.all().delete()
    live.write_due_readings(FLEET, store, NOON + FIVE)
    assert everything(store).equals(sent(FLEET, NOON, NOON + FIVE))


def test_a_crash_behind_the_write_is_made_good(store: ReadingsRepository) -> None:
    store.write(sent(FLEET, NOON).head(20))
    LiveArrival.objects.create(at=NOON - FIVE, readings=60)
    live.write_due_readings(FLEET, store, NOON)
    assert everything(store).equals(sent(FLEET, NOON))


def test_what_was_missed_while_it_was_down_is_caught_up(store: ReadingsRepository) -> None:
    live.write_due_readings(FLEET, store, NOON)
    live.write_due_readings(FLEET, store, NOON + timedelta(hours=3))
    expected = [NOON + n * FIVE for n in range(37)]
    assert everything(store).equals(sent(FLEET, *expected))


def test_no_more_than_a_day_is_caught_up(store: ReadingsRepository) -> None:
    live.write_due_readings(FLEET, store, NOON)
    live.write_due_readings(FLEET, store, NOON + timedelta(days=40))
    times = everything(store)["time"].unique().sort()
    assert times[0] == NOON
    assert times[1] == NOON + timedelta(days=39) + FIVE
    assert times[-1] == NOON + timedelta(days=40)


def test_a_fleet_that_was_backfilled_goes_on_from_there(store: ReadingsRepository) -> None:
    store.write(sent(FLEET, NOON - 2 * FIVE))
    live.write_due_readings(FLEET, store, NOON)
    assert everything(store).equals(sent(FLEET, NOON - 2 * FIVE, NOON - FIVE, NOON))


def test_late_readings_come_when_they_are_due_and_not_before(store: ReadingsRepository) -> None:
    for minute in range(31):
        now = NOON + timedelta(minutes=minute)
        live.write_due_readings(LATE, store, now)
        times = [NOON + n * FIVE for n in range(minute // 5 + 1)]
        assert frame.in_order(everything(store)).equals(sent(LATE, *times, by=now))


def test_late_readings_of_intervals_that_were_backfilled_come_too(
    store: ReadingsRepository,
) -> None:
    store.write(sent(LATE, NOON - FIVE, by=NOON))
    live.write_due_readings(LATE, store, NOON)
    live.write_due_readings(LATE, store, NOON + timedelta(minutes=7))
    kept = everything(store).filter(pl.col("time") == NOON - FIVE)
    assert kept.equals(sent(LATE, NOON - FIVE))


def test_late_readings_of_times_before_the_deployment_never_come(store: ReadingsRepository) -> None:
    for minute in range(20):
        live.write_due_readings(LATE, store, NOON + timedelta(minutes=minute))
    assert everything(store)["time"].min() == NOON


def test_the_task_brings_in_the_deployments_fleet(
    store: ReadingsRepository, settings: Settings
) -> None:
    settings.SIMULATION_DEVICES = 7
    tasks.write_due_readings()
    assert len(everything(store)) == 7


def test_upkeep_forgets_nothing_unless_it_is_told_to(
    store: ReadingsRepository, settings: Settings
) -> None:
    old = timezone.now() - timedelta(days=400)
    store.write(sent(FLEET, FLEET.newest_interval(old)))
    tasks.maintain_repository()
    assert len(everything(store)) == 60
    settings.READINGS_RETENTION_DAYS = 399
    tasks.maintain_repository()
    assert everything(store).is_empty()
