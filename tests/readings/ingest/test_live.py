"""The live fleet: each interval is written when it is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from readings import frame, tasks
from readings.ingest import live
from readings.ingest.backfill import backfill, write_late_arrivals
from readings.models import LiveArrival
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.simulation.town import DeliveryCurve
from tests.readings.ingest.stored_readings import all_readings

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
OUTAGE = datetime(2026, 8, 21, 9, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
FLEET = Fleet(devices=60)
LATE = Fleet(devices=60, late_arrivals=True, late_minutes=12, late_percent=30)

pytestmark = pytest.mark.django_db


def expected_readings(fleet: Fleet, *times: datetime, by: datetime | None = None) -> pl.DataFrame:
    return pl.concat([readings_for(fleet, time, by) for time in times])


def test_the_interval_that_is_due_is_written_once(store: ReadingsRepository) -> None:
    assert live.write_due_readings(FLEET, store, NOON + timedelta(seconds=1)) == 60
    assert live.write_due_readings(FLEET, store, NOON + timedelta(minutes=4)) == 0
    assert all_readings(store).equals(expected_readings(FLEET, NOON))
    assert live.write_due_readings(FLEET, store, NOON + FIVE_MINUTES) == 60
    assert [arrival.at for arrival in LiveArrival.objects.all()] == [NOON + FIVE_MINUTES, NOON]


def test_writing_an_interval_twice_changes_nothing(store: ReadingsRepository) -> None:
    live.write_due_readings(FLEET, store, NOON)
    LiveArrival.objects.all().delete()
    live.write_due_readings(FLEET, store, NOON + FIVE_MINUTES)
    assert all_readings(store).equals(expected_readings(FLEET, NOON, NOON + FIVE_MINUTES))


def test_an_interval_that_a_crash_left_incomplete_is_completed(store: ReadingsRepository) -> None:
    store.write(expected_readings(FLEET, NOON).head(20))
    LiveArrival.objects.create(at=NOON - FIVE_MINUTES, readings=60)
    live.write_due_readings(FLEET, store, NOON)
    assert all_readings(store).equals(expected_readings(FLEET, NOON))


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=3650)])
def test_the_fleet_continues_after_a_clock_that_was_ahead_is_set_back(
    store: ReadingsRepository, ahead: timedelta
) -> None:
    live.write_due_readings(FLEET, store, NOON)
    LiveArrival.objects.create(at=NOON + ahead, readings=60)
    assert live.first_due_arrival(FLEET, store, NOON + FIVE_MINUTES) == NOON + FIVE_MINUTES
    assert live.write_due_readings(FLEET, store, NOON + FIVE_MINUTES) == 60
    # The records of the present were deleted while the clock was ahead.
    LiveArrival.objects.filter(at__lt=NOON + ahead).delete()
    assert live.write_due_readings(FLEET, store, NOON + 3 * FIVE_MINUTES) == 2 * 60
    times = [NOON + n * FIVE_MINUTES for n in range(4)]
    assert all_readings(store).equals(expected_readings(FLEET, *times))


def test_intervals_that_were_missed_during_a_pause_are_written(store: ReadingsRepository) -> None:
    live.write_due_readings(FLEET, store, NOON)
    live.write_due_readings(FLEET, store, NOON + timedelta(hours=1))
    times = [NOON + n * FIVE_MINUTES for n in range(13)]
    assert all_readings(store).equals(expected_readings(FLEET, *times))


def test_intervals_older_than_a_day_are_not_caught_up(store: ReadingsRepository) -> None:
    hourly = Fleet(devices=60, interval_minutes=60)
    live.write_due_readings(hourly, store, NOON)
    live.write_due_readings(hourly, store, NOON + timedelta(days=40))
    times = all_readings(store)["time"].unique().sort()
    assert times[0] == NOON
    assert times[1] == NOON + timedelta(days=39, hours=1)
    assert times[-1] == NOON + timedelta(days=40)


def test_the_live_fleet_continues_after_a_backfill(store: ReadingsRepository) -> None:
    store.write(expected_readings(FLEET, NOON - 2 * FIVE_MINUTES))
    live.write_due_readings(FLEET, store, NOON)
    assert all_readings(store).equals(
        expected_readings(FLEET, NOON - 2 * FIVE_MINUTES, NOON - FIVE_MINUTES, NOON)
    )


def test_late_readings_are_written_when_they_are_due_and_not_before(
    store: ReadingsRepository,
) -> None:
    for minute in range(31):
        now = NOON + timedelta(minutes=minute)
        live.write_due_readings(LATE, store, now)
        times = [NOON + n * FIVE_MINUTES for n in range(minute // 5 + 1)]
        assert frame.in_order(all_readings(store)).equals(expected_readings(LATE, *times, by=now))


def test_late_readings_of_backfilled_intervals_are_written(
    store: ReadingsRepository,
) -> None:
    store.write(expected_readings(LATE, NOON - FIVE_MINUTES, by=NOON))
    live.write_due_readings(LATE, store, NOON)
    live.write_due_readings(LATE, store, NOON + timedelta(minutes=7))
    stored = all_readings(store).filter(pl.col("time") == NOON - FIVE_MINUTES)
    assert stored.equals(expected_readings(LATE, NOON - FIVE_MINUTES))


def test_late_readings_of_times_before_the_deployment_are_not_written(
    store: ReadingsRepository,
) -> None:
    for minute in range(20):
        live.write_due_readings(LATE, store, NOON + timedelta(minutes=minute))
    assert all_readings(store)["time"].min() == NOON


def test_readings_of_an_outage_of_all_meters_arrive_afterwards(store: ReadingsRepository) -> None:
    fleet = Fleet(devices=60, interval_minutes=60, delivery=DeliveryCurve())
    # All 60 meters belong to one neighbourhood, which has an outage from 08:31 to 14:16.
    before, outage = OUTAGE - timedelta(hours=1), OUTAGE
    live.write_due_readings(fleet, store, before)
    live.write_due_readings(fleet, store, outage)
    assert all_readings(store)["time"].unique().to_list() == [before]
    for hours in range(1, 73):
        now = outage + timedelta(hours=hours)
        live.write_due_readings(fleet, store, now)
    stored = all_readings(store).filter(pl.col("time") == outage)
    assert len(stored) > 0
    assert frame.in_order(stored).equals(expected_readings(fleet, outage))


def test_readings_of_an_outage_arrive_after_three_days_with_maintenance_between(
    store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing arrives before three days have passed.
    fleet = Fleet(devices=60, interval_minutes=60, delivery=DeliveryCurve((0, 0, 0, 100)))
    live.write_due_readings(fleet, store, OUTAGE)
    now = OUTAGE + timedelta(days=3)
    monkeypatch.setattr(timezone, "now", lambda: now)
    for hours in range(1, 73):
        live.write_due_readings(fleet, store, OUTAGE + timedelta(hours=hours))
        tasks.maintain_repository()
    assert all_readings(store).equals(expected_readings(fleet, OUTAGE))


def test_readings_of_a_backfill_inside_an_outage_of_all_meters_arrive_afterwards(
    store: ReadingsRepository,
) -> None:
    fleet = Fleet(devices=60, interval_minutes=60, delivery=DeliveryCurve())
    now = OUTAGE + timedelta(hours=4)
    [write] = backfill(fleet, store, OUTAGE, now, now)
    assert write.readings == 0
    live.record_awaited_intervals(write.awaited)
    assert live.first_due_arrival(fleet, store, now) is None

    for hours in range(5, 78):
        now = OUTAGE + timedelta(hours=hours)
        live.write_due_readings(fleet, store, now)

    expected = [readings_for(fleet, time, now) for time in fleet.intervals(OUTAGE, now)]
    assert frame.in_order(all_readings(store)).equals(pl.concat(expected))


def test_readings_that_arrive_while_a_backfill_runs_are_not_lost(
    store: ReadingsRepository,
) -> None:
    fleet = Fleet(devices=60, interval_minutes=60, delivery=DeliveryCurve((50, 60, 70, 90)))
    start, later = NOON - timedelta(hours=8), NOON + timedelta(hours=1)
    live.write_due_readings(fleet, store, NOON)
    # The backfill has begun at noon, and has written nothing yet.
    live.write_due_readings(fleet, store, later)
    for _ in backfill(fleet, store, start, NOON, NOON):
        pass
    write_late_arrivals(fleet, store, (start, NOON), NOON, later)

    expected = [readings_for(fleet, time, later) for time in fleet.intervals(start, later)]
    assert frame.in_order(all_readings(store)).equals(pl.concat(expected))


def test_the_task_writes_the_readings_of_the_deployments_fleet(
    store: ReadingsRepository, settings: Settings
) -> None:
    settings.SIMULATION_DEVICES = 7
    tasks.write_due_readings()
    assert len(all_readings(store)) == 7


def test_old_readings_are_deleted_only_with_a_retention_setting(
    store: ReadingsRepository, settings: Settings
) -> None:
    old = timezone.now() - timedelta(days=400)
    store.write(expected_readings(FLEET, FLEET.newest_interval(old)))
    tasks.maintain_repository()
    assert len(all_readings(store)) == 60
    settings.READINGS_RETENTION_DAYS = 399
    tasks.maintain_repository()
    assert all_readings(store).is_empty()
