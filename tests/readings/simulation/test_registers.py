"""Registers: energy at any instant, without the intervals before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readings import frame
from readings.simulation import fleet_day
from readings.simulation.arrivals import Arrival, readings_for, readings_in_arrival
from readings.simulation.customers import customer_classes
from readings.simulation.fleet import Fleet
from readings.simulation.registers import registers
from readings.simulation.town import Town

START = datetime(2026, 3, 28, 20, tzinfo=UTC)
FLEET = Fleet(devices=400, interval_minutes=15, profile="mixed")
REGISTERS = ["import_kwh", "export_kwh"]
ROLLOVER = 1_000_000_000


def watt_hours(energy: pl.DataFrame, columns: list[str] = REGISTERS) -> npt.NDArray[np.int64]:
    """Return columns in Wh, as whole numbers."""
    in_kwh = energy.select(columns).to_numpy()
    whole = np.rint(in_kwh * 1000)
    # Energy has three decimals: it is the float that is closest to a whole number of Wh.
    assert (whole / 1000 == in_kwh).all()
    return np.asarray(whole, dtype=np.int64)


def net(registered: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the imported minus the exported energy, in Wh. The last axis has both."""
    return np.asarray(registered[..., 0] - registered[..., 1])


@pytest.mark.parametrize(
    "start",
    [START, datetime(2026, 10, 24, 20, tzinfo=UTC), datetime(2023, 12, 31, 12, tzinfo=UTC)],
    ids=["clocks forward", "clocks back", "new year"],
)
def test_the_energy_of_intervals_is_the_difference_of_the_registers(start: datetime) -> None:
    readings = [readings_for(FLEET, start + n * FLEET.interval) for n in range(100)]
    shown = np.array([watt_hours(each) for each in readings])
    energy = np.array([watt_hours(each, ["kwh"])[:, 0] for each in readings])

    steps = np.diff(shown, axis=0)
    assert steps.min() >= 0
    assert (net(steps) == energy[1:]).all()
    before = watt_hours(registers(FLEET, start - FLEET.interval))
    assert (net(shown[-1] - before) == energy.sum(axis=0)).all()


@pytest.mark.parametrize("time", [START, datetime(2026, 6, 21, 22, tzinfo=UTC)])
def test_a_reading_shows_the_registers_at_its_time(time: datetime) -> None:
    readings = readings_for(FLEET, time)
    assert readings.select("device_id", *REGISTERS).equals(registers(FLEET, time))
    assert dict(readings.schema) == frame.FULL_SCHEMA
    assert (readings["quality"] == "measured").all()


def test_late_readings_have_the_energy_and_registers_of_their_meters() -> None:
    late = Fleet(devices=400, interval_minutes=15, profile="mixed", late_arrivals=True)
    every = readings_for(FLEET, START)
    arrived = readings_in_arrival(late, Arrival(START + late.delay, START, late=True, stage=1))

    assert 10 < len(arrived) < 80
    of_these = every.filter(pl.col("device_id").is_in(arrived["device_id"].to_list()))
    assert arrived.drop("arrival_time").equals(of_these.drop("arrival_time"))
    nothing = readings_for(late, START, arrived_by=START - timedelta(minutes=1))
    assert pl.concat([nothing, arrived]).equals(arrived)


def test_registers_do_not_depend_on_what_was_computed_before() -> None:
    time = START + timedelta(days=3, minutes=7, seconds=11)
    after_others = registers(FLEET, time)
    fleet_day._fleet_day.cache_clear()

    assert registers(FLEET, time).equals(after_others)
    in_batches = Fleet(devices=400, devices_per_batch=33, interval_minutes=60, profile="mixed")
    assert registers(in_batches, time).equals(after_others)


def test_the_order_of_instants_does_not_matter() -> None:
    times = [START + n * timedelta(minutes=47) for n in range(12)]
    ascending = [registers(FLEET, time) for time in times]
    fleet_day._fleet_day.cache_clear()
    descending = [registers(FLEET, time) for time in reversed(times)]
    assert all(one.equals(other) for one, other in zip(ascending, descending[::-1], strict=True))


@given(
    first=st.datetimes(datetime(1970, 1, 2), datetime(2060, 1, 1)),
    minutes=st.integers(min_value=0, max_value=60 * 24 * 400),
)
@settings(max_examples=settings().max_examples // 4)
def test_registers_never_run_backwards(first: datetime, minutes: int) -> None:
    fleet = Fleet(devices=60, profile="mixed")
    first = first.replace(tzinfo=UTC)
    early, late = (registers(fleet, at) for at in (first, first + timedelta(minutes=minutes)))
    difference = (watt_hours(late) - watt_hours(early)) % ROLLOVER
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
        steps = np.diff(np.array(counted, dtype=np.int64), axis=0).astype(np.int64) % ROLLOVER
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
    readings = [readings_for(large, START + timedelta(days=n)) for n in range(40)]
    shown = np.array([watt_hours(each) for each in readings])
    energy = np.array([watt_hours(each, ["kwh"])[:, 0] for each in readings])

    assert shown.min() >= 0
    assert shown.max() < ROLLOVER
    assert (np.diff(shown[:, :, 0], axis=0) < 0).any()
    assert (net(np.diff(shown, axis=0) % ROLLOVER) == energy[1:]).all()


def test_the_power_of_a_reading_is_the_energy_of_its_interval() -> None:
    readings = readings_for(FLEET, datetime(2026, 6, 21, 11, tzinfo=UTC))

    # Energy and both registers are rounded to Wh.
    assert ((readings["kw"] * 0.25 - readings["kwh"]).abs() < 0.0022).all()
    assert (readings["kwh"] < 0).any()


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
