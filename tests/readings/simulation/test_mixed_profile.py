"""The profile ``mixed``: a pure function of (seed, meter, time) with plausible values for each customer class."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from readings import frame
from readings.simulation import fleet_day
from readings.simulation.arrivals import readings_for
from readings.simulation.customers import customer_classes
from readings.simulation.fleet import Fleet
from readings.simulation.registers import registers
from readings.simulation.town import Town

EVENING = datetime(2026, 1, 14, 18, tzinfo=UTC)
SMALL = Fleet(devices=2_000, profile="mixed")
VALUES = ["crrnt", "pf", "kva", "kw", "vltg"]
FIRST_READING_OF_SEED_0 = [0.866, 0.956, 0.186, 0.178, 0.215]


def by_class(fleet: Fleet, time: datetime) -> pl.DataFrame:
    """Return the mean values of each customer class."""
    readings = readings_for(fleet, time)
    classes = pl.Series("class", customer_classes(fleet, fleet.meters.device_id))
    return readings.with_columns(classes).group_by("class").agg(pl.col(VALUES).mean())


def kw_of(fleet: Fleet, kind: str, time: datetime) -> float:
    rows = by_class(fleet, time).filter(pl.col("class") == kind)
    return float(rows["kw"][0])


def test_readings_are_a_sorted_readings_frame_with_the_meters_of_the_reference() -> None:
    readings = readings_for(SMALL, EVENING)

    assert dict(readings.schema) == frame.FULL_SCHEMA
    uniform = readings_for(Fleet(devices=2_000), EVENING)
    assert readings.select(frame.COLUMNS).drop(VALUES).equals(uniform.drop(VALUES))


def test_a_reading_does_not_depend_on_batch_order_or_number_of_meters() -> None:
    one = readings_for(SMALL, EVENING)
    fleet_day._fleet_day.cache_clear()
    readings_for(SMALL, EVENING + timedelta(days=40))

    assert readings_for(SMALL, EVENING).equals(one)
    in_batches = Fleet(devices=2_000, devices_per_batch=77, profile="mixed")
    assert readings_for(in_batches, EVENING).equals(one)
    few = Fleet(devices=100, profile="mixed")
    assert readings_for(few, EVENING).equals(
        one.filter(pl.col("device_id").is_in(few.meters.device_id.to_list()))
    )


def test_seed_0_gives_the_same_values_on_any_machine() -> None:
    first = readings_for(SMALL, EVENING).row(0, named=True)
    assert [first[name] for name in VALUES] == FIRST_READING_OF_SEED_0


@pytest.mark.parametrize(
    ("other", "time"),
    [
        (Fleet(devices=2_000, profile="mixed", seed=1), EVENING),
        (SMALL, EVENING + timedelta(minutes=5)),
        (SMALL, EVENING + timedelta(days=7)),
    ],
)
def test_another_seed_time_or_day_gives_other_values(other: Fleet, time: datetime) -> None:
    same = (readings_for(SMALL, EVENING)["kw"] == readings_for(other, time)["kw"]).sum()
    assert same < 40


def test_late_arrivals_change_only_the_arrival_time() -> None:
    late = Fleet(devices=2_000, profile="mixed", late_arrivals=True)
    all_readings = readings_for(late, EVENING)

    assert all_readings.drop("arrival_time").equals(
        readings_for(SMALL, EVENING).drop("arrival_time")
    )
    on_time = readings_for(late, EVENING, arrived_by=EVENING)
    assert on_time.equals(all_readings.filter(pl.col("arrival_time") == EVENING))


@pytest.mark.parametrize(
    "time", [EVENING, datetime(2026, 6, 21, 11, tzinfo=UTC), datetime(1969, 7, 20, 20, tzinfo=UTC)]
)
def test_values_agree_with_each_other_and_are_plausible(time: datetime) -> None:
    readings = readings_for(Fleet(devices=20_000, profile="mixed"), time)

    assert ((readings["kw"] / readings["pf"] - readings["kva"]).abs() < 0.02).all()
    assert ((readings["kva"] / readings["vltg"] - readings["crrnt"]).abs() < 0.6).all()
    assert readings["vltg"].is_between(0.198, 0.242).all()
    assert readings["pf"].is_between(0.8, 0.99).all()
    assert (readings["kw"] > readings["load"]).to_numpy().mean() < 0.001
    assert (readings["kw"] > -readings["load"]).all()
    assert readings.select((pl.col(VALUES).round(3) == pl.col(VALUES)).all()).row(0) == (True,) * 5


def test_a_zero_has_no_sign() -> None:
    """At this time, the power of two solar plants is so little that it is rounded to zero."""
    readings = readings_for(SMALL, datetime(2026, 6, 14, 18, 30, tzinfo=UTC))
    zeros = readings.filter(pl.col("kw") == 0).select("kw", "kva")
    assert len(zeros) >= 2
    assert not np.signbit(zeros.to_numpy()).any()


def test_only_solar_plants_export_and_only_by_day() -> None:
    fleet = Fleet(devices=4_000, profile="mixed")
    noon, night = (
        readings_for(fleet, datetime(2026, 6, 21, hour, tzinfo=UTC)) for hour in (11, 23)
    )
    classes = pl.Series("class", customer_classes(fleet, fleet.meters.device_id))
    exporting = noon.with_columns(classes).filter(pl.col("kw") < 0)

    assert set(exporting["class"]) == {"household_pv"}
    assert len(exporting) > 0.8 * float((classes == "household_pv").sum())
    assert (night["kw"] >= 0).all()


def test_the_sun_follows_the_latitude_and_the_season() -> None:
    def exported(latitude: float, month: int) -> float:
        town = Town("household_pv=100", "Europe/Berlin", latitude)
        fleet = Fleet(devices=200, profile="mixed", town=town)
        start, end = (
            float(registers(fleet, datetime(2026, month, day, tzinfo=UTC))["export_kwh"].sum())
            for day in (2, 27)
        )
        return end - start

    assert exported(51, 6) > 3 * exported(51, 12)
    assert exported(35, 6) > 1.1 * exported(51, 6)
    assert exported(-35, 12) > 1.3 * exported(-35, 6)


def test_heat_pumps_work_in_winter_and_shops_by_day() -> None:
    fleet = Fleet(devices=8_000, profile="mixed", interval_minutes=60)
    winter, summer = (datetime(2026, month, 14, 9, tzinfo=UTC) for month in (1, 7))

    extra = [
        kw_of(fleet, "household_heat_pump", time) - kw_of(fleet, "household", time)
        for time in (winter, summer)
    ]
    assert extra[0] > 5 * max(extra[1], 0.02)
    assert kw_of(fleet, "shop", winter) > 2 * kw_of(fleet, "shop", winter + timedelta(hours=16))
    sunday = datetime(2026, 1, 11, 9, tzinfo=UTC)
    holiday = datetime(2026, 12, 25, 9, tzinfo=UTC)
    assert kw_of(fleet, "office", winter) > 2 * kw_of(fleet, "office", sunday)
    assert kw_of(fleet, "office", winter) > 2 * kw_of(fleet, "office", holiday)


def test_the_local_calendar_moves_the_day() -> None:
    """The same hour of UTC is a working hour in one zone and night in another."""
    berlin, auckland = (
        Fleet(devices=500, profile="mixed", town=Town("office=100", zone))
        for zone in ("Europe/Berlin", "Pacific/Auckland")
    )
    time = datetime(2026, 6, 10, 9, 30, tzinfo=UTC)
    by_day, by_night = (readings_for(fleet, time)["kw"].sum() for fleet in (berlin, auckland))
    assert by_day > 2 * by_night


def test_the_voltage_falls_with_the_load_and_the_power_factor_depends_on_the_class() -> None:
    fleet = Fleet(devices=20_000, profile="mixed")
    night = by_class(fleet, datetime(2026, 1, 14, 3, tzinfo=UTC))
    evening = by_class(fleet, EVENING)
    assert evening["vltg"].to_numpy().mean() < night["vltg"].to_numpy().mean() - 0.001
    factors = dict(zip(evening["class"], evening["pf"], strict=True))
    assert factors["small_industry"] < factors["farm"] < factors["shop"] < factors["household"]

    readings = readings_for(fleet, EVENING)
    share = readings["kw"] / readings["load"]
    high, low = (readings["vltg"].filter(mask).to_numpy() for mask in (share > 0.4, share < 0.05))
    assert high.mean() < low.mean()


def test_clouds_change_the_power_of_all_solar_plants_gradually() -> None:
    """From minute to minute, the sum of many plants changes by little, even where one cloud follows another."""
    fleet = Fleet(
        devices=600, interval_minutes=1, profile="mixed", town=Town("household_pv=100", latitude=45)
    )
    noon = datetime(2026, 5, 5, 9, tzinfo=UTC)
    exported = [registers(fleet, noon + n * fleet.interval)["export_kwh"].sum() for n in range(242)]
    power = np.diff(np.array(exported))

    # Wh are rounded: 600 meters have an error of about 12 Wh.
    assert np.abs(np.diff(power)).max() < 0.03 * power.max()
    assert power.min() < 0.8 * power.max()


def test_neighbours_share_the_weather() -> None:
    """Solar plants of one neighbourhood vary together from day to day, more than those of different ones."""
    fleet = Fleet(
        devices=1_200, interval_minutes=1440, profile="mixed", town=Town("household_pv=100")
    )
    number = fleet.meters.number.astype(np.int64)
    days = np.array(
        [
            readings_for(fleet, datetime(2026, 5, 1, tzinfo=UTC) + timedelta(days=n))[
                "kw"
            ].to_numpy()
            for n in range(25)
        ]
    )
    scaled = days / days.mean(axis=0)
    means = np.array([scaled[:, (number - 1) // 120 == group].mean(axis=1) for group in range(10)])
    within = np.std(scaled[:, (number - 1) // 120 == 0] - means[0][:, np.newaxis], axis=0).mean()
    assert np.corrcoef(means).min() > 0.7
    assert np.std(means, axis=1).mean() > 0.2
    assert within < np.std(scaled, axis=0).mean()
