"""The interval totals are those of the repository."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from django.db import connection

from readings import tasks, totals
from readings.models import IntervalTotals
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.totals import update_totals

START = datetime(2023, 2, 27, 23, tzinfo=UTC)
FLEET = Fleet(devices=40, late_arrivals=True, late_percent=20)
END = START + timedelta(hours=2)

pytestmark = pytest.mark.django_db


@pytest.fixture
def readings(store: ReadingsRepository) -> pl.DataFrame:
    """The stored readings of two hours of a fleet with late arrivals: 25 intervals."""
    readings = pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])
    store.write(readings)
    return readings


def expected_totals(readings: pl.DataFrame) -> list[tuple[datetime, int, int, Any]]:
    return [
        (
            interval["time"][0],
            len(interval),
            int((interval["arrival_time"] > interval["time"]).sum()),
            pytest.approx(interval["kw"].sum()),
        )
        for interval in readings.partition_by("time", maintain_order=True)
    ]


def stored_totals() -> list[tuple[datetime, int, int, Any]]:
    return list(IntervalTotals.objects.values_list("time", "readings", "late", "kw"))


def test_every_interval_gets_its_totals(store: ReadingsRepository, readings: pl.DataFrame) -> None:
    assert update_totals(store.snapshot()) == 25
    assert stored_totals() == expected_totals(readings)


def test_only_changed_intervals_are_updated(
    store: ReadingsRepository, readings: pl.DataFrame
) -> None:
    update_totals(store.snapshot())
    assert update_totals(store.snapshot()) == 0
    more = readings_for(Fleet(devices=50), START)
    store.write(more)
    assert update_totals(store.snapshot()) == 1
    assert IntervalTotals.objects.get(time=START).readings == 50


def test_a_corrected_interval_is_summed_again(
    store: ReadingsRepository, readings: pl.DataFrame
) -> None:
    update_totals(store.snapshot())
    corrected = readings.head(1)
    for kw in (500.0, 900.0):
        corrected = corrected.with_columns(
            pl.col("arrival_time") + timedelta(hours=1), kw=pl.lit(kw)
        )
        store.write(corrected, corrections=True)
        assert update_totals(store.snapshot()) == 1
        assert update_totals(store.snapshot()) == 0
        valid = pl.concat([corrected, readings.slice(1)])
        assert stored_totals() == expected_totals(valid)


def test_totals_have_the_energy_that_meters_imported_and_exported(
    store: ReadingsRepository, readings: pl.DataFrame
) -> None:
    later = readings_for(FLEET, END + timedelta(minutes=5)).head(3)
    kwh = pl.Series("kwh", [1.5, -0.25, None], pl.Float64)
    store.write(later.with_columns(kwh, kw=pl.lit(None, pl.Float64)))
    update_totals(store.snapshot())
    *_, before, energy = IntervalTotals.objects.values_list("kw", "import_kwh", "export_kwh")
    assert energy == (0, 1.5, 0.25)
    assert before[1:] == (0, 0)


def test_totals_of_deleted_readings_are_deleted(
    store: ReadingsRepository, readings: pl.DataFrame
) -> None:
    update_totals(store.snapshot())
    midnight = START + timedelta(hours=1)
    store.delete_before(midnight)
    update_totals(store.snapshot())
    assert stored_totals()[0][0] == midnight


def test_the_totals_of_a_month_are_deleted_within_the_limit_of_sqlite(
    store: ReadingsRepository,
) -> None:
    IntervalTotals.objects.bulk_create(
        IntervalTotals(time=START + timedelta(minutes=n), readings=1, late=0, kw=1)
        for n in range(5000)
    )
    with sqlite_limit_of_variables(4_500):
        update_totals(store.snapshot())
    assert stored_totals() == []


@contextmanager
def sqlite_limit_of_variables(count: int) -> Iterator[None]:
    """Let SQLite refuse statements with more variables. Other databases have no such limit."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    limit = sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER
    before = connection.connection.setlimit(limit, count)
    yield
    connection.connection.setlimit(limit, before)


def test_totals_outside_the_window_stay(store: ReadingsRepository, readings: pl.DataFrame) -> None:
    update_totals(store.snapshot())
    before = stored_totals()
    start = START + timedelta(minutes=30, seconds=20)
    assert update_totals(store.snapshot(), start, start + timedelta(minutes=10)) == 0
    assert stored_totals() == before


def test_several_queries_give_the_same_totals_as_one(
    store: ReadingsRepository, readings: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "READINGS_PER_QUERY", 100)
    update_totals(store.snapshot())
    assert stored_totals() == expected_totals(readings)


def test_the_task_updates_the_given_number_of_hours_or_everything(
    store: ReadingsRepository, readings: pl.DataFrame
) -> None:
    tasks.update_interval_totals(2)
    assert stored_totals() == []
    tasks.update_interval_totals()
    assert len(stored_totals()) == 25
