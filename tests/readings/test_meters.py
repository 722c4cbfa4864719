"""The table of meters knows every meter that has ever sent readings."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from readings import meters, tasks
from readings.models import IntervalTotals, Meter
from readings.repositories import ReadingsRepository
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.totals import update_totals
from readings.window import Window

pytestmark = pytest.mark.django_db

START = datetime(2023, 2, 27, 23, tzinfo=UTC)
FLEET = Fleet(devices=40)
FIRST, SECOND = date(2023, 2, 27), date(2023, 2, 28)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[Window]:
    """The windows of which the meters were read."""
    windows: list[Window] = []
    read = DeltaSnapshot.last_times

    def last_times(snapshot: DeltaSnapshot, window: Window) -> pl.DataFrame:
        windows.append(window)
        return read(snapshot, window)

    monkeypatch.setattr(DeltaSnapshot, "last_times", last_times)
    return windows


def write(store: ReadingsRepository, first: datetime, intervals: int, devices: int = 40) -> None:
    fleet = Fleet(devices=devices)
    times = fleet.intervals(first, first + (intervals - 1) * fleet.interval)
    store.write(pl.concat([readings_for(fleet, time) for time in times]))


def last_days() -> dict[date, int]:
    """Return how many meters have which last day."""
    days = list(Meter.objects.values_list("last_day", flat=True))
    return {day: days.count(day) for day in days}


@pytest.mark.parametrize("per_query", [100, 3_000_000])
def test_every_meter_is_recorded_with_its_last_day(
    store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch, per_query: int
) -> None:
    monkeypatch.setattr(meters, "READINGS_PER_QUERY", per_query)
    monkeypatch.setattr(meters, "_ROWS_PER_STATEMENT", 7)
    write(store, START, 12)
    write(store, START + timedelta(hours=1), 12, devices=30)
    update_totals(store.snapshot())
    assert last_days() == {FIRST: 10, SECOND: 30}
    assert set(Meter.objects.values_list("device_id", flat=True)) == set(FLEET.meters.device_id)


def test_only_changed_minutes_are_read(store: ReadingsRepository, windows: list[Window]) -> None:
    write(store, START, 12)
    update_totals(store.snapshot())
    assert len(windows) == 1
    update_totals(store.snapshot())
    assert len(windows) == 1
    write(store, START + timedelta(minutes=5), 1, devices=50)
    update_totals(store.snapshot())
    assert windows[1:] == [
        Window(
            START + timedelta(minutes=5),
            START + timedelta(minutes=6) - timedelta(microseconds=1),
        )
    ]
    assert last_days() == {FIRST: 50}


def test_an_earlier_day_does_not_replace_a_later_one(store: ReadingsRepository) -> None:
    write(store, START + timedelta(hours=1), 1)
    update_totals(store.snapshot())
    write(store, START, 1)
    update_totals(store.snapshot())
    assert last_days() == {SECOND: 40}


def test_a_later_day_that_another_process_records_meanwhile_is_kept(
    store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, START, 1)
    save = meters._insert_or_update

    def save_after_another_process(found: pl.DataFrame) -> None:
        others = found["device_id"].head(10)
        Meter.objects.bulk_create(Meter(device_id=each, last_day=SECOND) for each in others)
        save(found)

    monkeypatch.setattr(meters, "_insert_or_update", save_after_another_process)
    update_totals(store.snapshot())
    assert last_days() == {FIRST: 30, SECOND: 10}


def test_the_next_update_records_what_is_left(
    store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch, windows: list[Window]
) -> None:
    monkeypatch.setattr(meters, "READINGS_PER_QUERY", 40)
    monkeypatch.setattr(meters, "MAX_QUERIES", 5)
    write(store, START, 12)
    for expected in (5, 10, 12, 12):
        update_totals(store.snapshot())
        assert len(windows) == expected
    assert [window.start for window in windows] == [
        START + timedelta(minutes=5 * n) for n in reversed(range(12))
    ]


def test_totals_of_an_earlier_release_are_recorded(store: ReadingsRepository) -> None:
    write(store, START, 12)
    update_totals(store.snapshot(), meters=False)
    assert last_days() == {}
    assert set(IntervalTotals.objects.values_list("recorded", flat=True)) == {0}
    update_totals(store.snapshot())
    assert last_days() == {FIRST: 40}


def test_the_frequent_task_leaves_the_meters_to_the_others(store: ReadingsRepository) -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    write(store, hour_ago.replace(minute=0, second=0, microsecond=0), 1)
    tasks.update_interval_totals(2)
    assert IntervalTotals.objects.count() == 1
    assert not Meter.objects.exists()
    tasks.update_interval_totals(49)
    assert Meter.objects.count() == 40


def test_meters_whose_readings_are_all_deleted_are_deleted(store: ReadingsRepository) -> None:
    write(store, START, 1, devices=60)
    write(store, START + timedelta(hours=1), 1)
    update_totals(store.snapshot())
    store.delete_before(START + timedelta(hours=1))
    update_totals(store.snapshot())
    assert last_days() == {SECOND: 40}
    store.delete_before(START + timedelta(days=3))
    update_totals(store.snapshot())
    assert last_days() == {}
