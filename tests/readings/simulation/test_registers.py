"""Registers: energy at any instant, without the intervals before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readings.simulation import mixed_profile
from readings.simulation.arrivals import readings_for
from readings.simulation.customers import customer_classes
from readings.simulation.fleet import Fleet
from readings.simulation.registers import interval_energy, registers
from readings.simulation.town import Town

START = datetime(2026, 3, 28, 20, tzinfo=UTC)
FLEET = Fleet(devices=400, interval_minutes=15, profile="mixed")
COLUMNS = ["import_kwh", "export_kwh"]


def watt_hours(energy: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Return both columns in Wh, as whole numbers."""
    return np.asarray(np.rint(energy.select(COLUMNS).to_numpy() * 1000), dtype=np.int64)


@pytest.mark.parametrize(
    "start",
    [START, datetime(2026, 10, 24, 20, tzinfo=UTC), datetime(2023, 12, 31, 12, tzinfo=UTC)],
    ids=["clocks forward", "clocks back", "new year"],
)
def test_the_intervals_add_up_to_the_difference_of_the_registers(start: datetime) -> None:
    times = [start + n * FLEET.interval for n in range(100)]
    before = registers(FLEET, start - FLEET.interval)
    total = sum(watt_hours(interval_energy(FLEET, time)) for time in times)

    after = registers(FLEET, times[-1])

    assert (watt_hours(after) - watt_hours(before) == total).all()
    energy = [watt_hours(interval_energy(FLEET, time)) for time in times]
    assert min(each.min() for each in energy) >= 0
    assert after["device_id"].equals(FLEET.meters.device_id)


def test_registers_do_not_depend_on_what_was_computed_before() -> None:
    time = START + timedelta(days=3, minutes=7, seconds=11)
    after_others = registers(FLEET, time)
    mixed_profile._fleet_day.cache_clear()

    assert registers(FLEET, time).equals(after_others)
    in_batches = Fleet(devices=400, devices_per_batch=33, interval_minutes=60, profile="mixed")
    assert registers(in_batches, time).equals(after_others)


@given(
    first=st.datetimes(datetime(1970, 1, 2), datetime(2060, 1, 1)),
    minutes=st.integers(min_value=0, max_value=60 * 24 * 400),
)
@settings(max_examples=25, deadline=None)
def test_registers_never_run_backwards(first: datetime, minutes: int) -> None:
    fleet = Fleet(devices=60, profile="mixed")
    first = first.replace(tzinfo=UTC)
    early, late = (registers(fleet, at) for at in (first, first + timedelta(minutes=minutes)))
    difference = (watt_hours(late) - watt_hours(early)) % 1_000_000_000
    # A meter of this fleet uses less than 60,000 kWh a year.
    assert (difference < 70_000_000).all()


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"]
)
def test_registers_grow_over_each_midnight_and_change_of_clocks(zone: str) -> None:
    fleet = Fleet(devices=150, profile="mixed", town=Town(timezone=zone))
    for month, day in ((4, 4), (9, 5), (12, 31)):
        at = datetime(2026, month, day, tzinfo=UTC)
        counted = [watt_hours(registers(fleet, at + n * timedelta(minutes=20))) for n in range(110)]
        steps = np.diff(np.array(counted, dtype=np.int64), axis=0).astype(np.int64) % 1_000_000_000
        # In 20 minutes, a meter uses less than 10 kWh.
        assert steps.max() < 10_000


def test_registers_roll_over_after_999999_999_kwh() -> None:
    large = Fleet(
        devices=200,
        minimum_load=50_000,
        maximum_load=60_000,
        profile="mixed",
        interval_minutes=1440,
    )
    times = [START + timedelta(days=n) for n in range(40)]
    counted = np.array([watt_hours(registers(large, time)) for time in times])
    energy = np.array([watt_hours(interval_energy(large, time)) for time in times[1:]])

    assert counted.min() >= 0
    assert counted.max() < 1_000_000_000
    assert (np.diff(counted[:, :, 0], axis=0) < 0).any()
    assert (np.diff(counted, axis=0) % 1_000_000_000 == energy).all()


def test_the_power_of_a_reading_is_the_energy_of_its_interval() -> None:
    time = datetime(2026, 6, 21, 11, tzinfo=UTC)
    energy = interval_energy(FLEET, time)
    kw = readings_for(FLEET, time)["kw"].to_numpy()

    net = (energy["import_kwh"] - energy["export_kwh"]).to_numpy()
    # Two registers are rounded in both directions of the energy.
    assert np.abs(kw * 0.25 - net).max() < 0.0022


def test_only_solar_plants_have_exported_energy() -> None:
    found = registers(FLEET, START).with_columns(
        pl.Series("class", customer_classes(FLEET, FLEET.meters.device_id))
    )
    exporting = found.filter(pl.col("export_kwh") > 0)
    assert set(exporting["class"]) == {"household_pv"}
    assert len(exporting) == (found["class"] == "household_pv").sum()
    assert (found["import_kwh"] > 0).all()


def test_uniform_meters_have_no_registers() -> None:
    with pytest.raises(ValueError, match=r"^profile: "):
        registers(Fleet(devices=10), START)
