"""The energy of each customer class is that of the readings, by hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from pytest_django.fixtures import Settings

from readings import class_energy, tasks
from readings.class_energy import update_class_energy
from readings.ingest.deployment_fleet import customer_class_of, deployment_fleet
from readings.models import ClassEnergy, IntervalTotals
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.totals import update_totals

START = datetime(2023, 2, 27, 10, tzinfo=UTC)
END = START + timedelta(hours=3)
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def mixed_fleet(settings: Settings) -> None:
    """Simulate 40 meters of several classes, of which some export at noon, with a reading every 15 minutes."""
    settings.SIMULATION, settings.SIMULATION_DEVICES = True, 40
    settings.SIMULATION_PROFILE, settings.SIMULATION_INTERVAL = "mixed", 15


@pytest.fixture
def readings(store: ReadingsRepository, mixed_fleet: None) -> pl.DataFrame:
    """The stored readings of three hours, and of the interval before them."""
    fleet = deployment_fleet()
    readings = pl.concat([readings_for(fleet, time) for time in fleet.intervals(START, END)])
    store.write(readings)
    update_totals(store.snapshot())
    return readings


def expected(readings: pl.DataFrame) -> dict[tuple[datetime, str], tuple[int, float, float]]:
    """Return the energy by hour and class: an interval belongs to the hour in which it lies."""
    sums: dict[tuple[datetime, str], tuple[int, float, float]] = {}
    classes = customer_class_of(readings["device_id"])
    for (time, kwh), name in zip(readings.select("time", "kwh").iter_rows(), classes, strict=True):
        hour = (time - timedelta(seconds=1)).replace(minute=0, second=0)
        count, imported, exported = sums.get((hour, name or ""), (0, 0.0, 0.0))
        sums[hour, name or ""] = count + 1, imported + max(0, kwh), exported + max(0, -kwh)
    return sums


def stored() -> dict[tuple[datetime, str], tuple[int, float, float]]:
    return {
        (row.hour, row.customer_class): (row.readings, row.import_kwh, row.export_kwh)
        for row in ClassEnergy.objects.all()
    }


def approx(sums: dict[tuple[datetime, str], tuple[int, float, float]]) -> dict[object, object]:
    return {key: pytest.approx(values) for key, values in sums.items()}


def test_each_hour_has_the_energy_of_each_class(
    store: ReadingsRepository, readings: pl.DataFrame
) -> None:
    assert update_class_energy(store.snapshot()) == 4
    assert stored() == approx(expected(readings))
    assert len({name for _, name in stored()}) > 3
    assert sum(exported for _, _, exported in stored().values()) > 0
    assert update_class_energy(store.snapshot()) == 0


def test_an_hour_with_a_new_or_a_corrected_reading_is_summed_again(
    store: ReadingsRepository, readings: pl.DataFrame
) -> None:
    update_class_energy(store.snapshot())
    corrected = (
        readings.filter(time=START + HOUR)
        .head(1)
        .with_columns(pl.col("arrival_time") + HOUR, kwh=pl.lit(40.0))
    )
    other = corrected.with_columns(device_id=pl.lit("NMI 1"), time=pl.lit(END))
    store.write(corrected, corrections=True)
    store.write(other)
    update_totals(store.snapshot())
    assert update_class_energy(store.snapshot()) == 2
    same = readings.join(corrected, on=["time", "device_id"], how="anti")
    valid = pl.concat([same, corrected, other.select(readings.columns)])
    assert stored() == approx(expected(valid))
    assert (END - HOUR, "") in stored()


def test_hours_without_readings_are_deleted(
    store: ReadingsRepository, readings: pl.DataFrame
) -> None:
    update_class_energy(store.snapshot())
    IntervalTotals.objects.filter(time__lte=START + HOUR).delete()
    assert update_class_energy(store.snapshot()) == 0
    assert min(hour for hour, _ in stored()) == START + HOUR


def test_the_next_call_continues_with_older_hours(
    store: ReadingsRepository, readings: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_energy, "READINGS_PER_QUERY", 200)
    monkeypatch.setattr(class_energy, "MAX_QUERIES", 2)
    assert update_class_energy(store.snapshot()) == 2
    assert {hour for hour, _ in stored()} == {START + HOUR, START + 2 * HOUR}
    assert update_class_energy(store.snapshot()) == 2
    assert stored() == approx(expected(readings))


def test_only_the_hours_from_the_start_are_compared(
    store: ReadingsRepository, readings: pl.DataFrame
) -> None:
    assert update_class_energy(store.snapshot(), END - timedelta(minutes=30)) == 1
    assert {hour for hour, _ in stored()} == {END - HOUR}


def test_meters_without_classes_have_no_rows(
    store: ReadingsRepository, readings: pl.DataFrame, settings: Settings
) -> None:
    settings.SIMULATION_PROFILE = "uniform"
    tasks.update_interval_totals()
    settings.SIMULATION_PROFILE, settings.SIMULATION = "mixed", False
    tasks.update_interval_totals()
    assert stored() == {}
    settings.SIMULATION = True
    tasks.update_interval_totals(2)
    assert stored() == {}
    tasks.update_interval_totals()
    assert stored() == approx(expected(readings))
