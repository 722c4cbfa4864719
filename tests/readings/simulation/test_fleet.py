"""The simulated fleet: its meters, their readings, and when these arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from readings import frame
from readings.simulation.arrivals import arrivals_between, readings_for, readings_in_arrival
from readings.simulation.fleet import Fleet

NOON = datetime(2023, 2, 27, 12, tzinfo=UTC)
SMALL = Fleet(devices=2_000)
LATE = Fleet(devices=2_000, late_arrivals=True)
FIRST_READING_OF_SEED_0 = {
    "device_id": "00044ab7-983c-372f-925d-5f4914fd9d5d",
    "crrnt": 28.263,
    "pf": 0.838,
    "kva": 6.531,
    "kw": 5.471,
    "vltg": 0.231,
}


@pytest.mark.parametrize(
    "time", [NOON, datetime(1969, 7, 20, 20, 15, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)]
)
def test_meters_and_loads_are_those_of_the_guide_at_the_same_rows(time: datetime) -> None:
    readings = readings_for(Fleet(), time)

    assert len(readings) == 50_000
    selected = readings.select("device_id", "load")
    assert selected.row(0) == ("0001b33e-0898-33a6-ac1d-82b59b904034", 18)
    assert selected.row(1) == ("00040f4a-f316-3114-bef0-504a37fbfbc4", 12)
    assert selected.row(100) == ("00a0f4b9-c962-3c30-ae64-1a7e9313da75", 15)
    assert selected.row(199) == ("011e2268-8ec6-3e78-b84e-96425c1b5d50", 16)


def test_readings_are_a_sorted_readings_frame() -> None:
    readings = readings_for(SMALL, NOON)
    assert dict(readings.schema) == frame.SCHEMA
    assert readings.equals(readings.sort(frame.ORDER))


def test_a_reading_does_not_depend_on_batch_or_order() -> None:
    one = readings_for(SMALL, NOON)
    readings_for(SMALL, NOON + timedelta(hours=1))
    assert readings_for(Fleet(devices=2_000, devices_per_batch=7), NOON).equals(one)
    first_hundred = Fleet(devices=100)
    assert readings_for(first_hundred, NOON).equals(
        one.filter(pl.col("device_id").is_in(first_hundred.meters.device_id.to_list()))
    )


def test_seed_0_gives_the_same_values_on_any_machine() -> None:
    first = readings_for(SMALL, NOON).row(0, named=True)
    values = {name: first[name] for name in ("device_id", "crrnt", "pf", "kva", "kw", "vltg")}
    assert values == FIRST_READING_OF_SEED_0


@pytest.mark.parametrize("other", [Fleet(devices=2_000, seed=1), SMALL])
def test_another_seed_or_time_gives_other_values(other: Fleet) -> None:
    time = NOON if other.seed else NOON + timedelta(minutes=5)
    same = (readings_for(SMALL, NOON)["kw"] == readings_for(other, time)["kw"]).sum()
    assert same < 20


def test_values_follow_the_formulas_and_ranges_of_the_reference() -> None:
    readings = readings_for(Fleet(devices=20_000), NOON)

    assert readings["pf"].is_between(0.8, 0.99).all()
    assert readings["vltg"].is_between(0.198, 0.242).all()
    assert (readings["kw"] <= readings["load"]).all()
    assert ((readings["kw"] / readings["pf"] - readings["kva"]).abs() < 0.02).all()
    assert ((readings["kva"] / readings["vltg"] - readings["crrnt"]).abs() < 0.4).all()
    assert readings["load"].is_between(5, 19).all()
    assert abs(readings["pf"].to_numpy().mean() - 0.895) < 0.002
    assert abs((readings["kw"] / readings["load"]).to_numpy().mean() - 0.5) < 0.01
    assert (
        readings.select(
            pl.col("crrnt", "pf", "kva", "kw", "vltg").round(3)
            == pl.col("crrnt", "pf", "kva", "kw", "vltg")
        ).to_numpy()
    ).all()


def test_a_different_tenth_of_the_fleet_is_late_in_each_interval() -> None:
    intervals = [
        readings_for(Fleet(devices=20_000, late_arrivals=True), NOON + n * timedelta(minutes=5))
        for n in (0, 1)
    ]
    late = [
        set(each.filter(pl.col("arrival_time") > pl.col("time"))["device_id"]) for each in intervals
    ]

    assert all(1_850 < len(meters) < 2_150 for meters in late)
    assert len(late[0] & late[1]) < 400


def test_late_arrivals_change_only_the_arrival_time() -> None:
    late = readings_for(LATE, NOON)
    assert late.drop("arrival_time").equals(readings_for(SMALL, NOON).drop("arrival_time"))
    assert set(late["arrival_time"].unique()) == {NOON, NOON + timedelta(days=1)}


def test_a_reading_is_missing_until_it_has_arrived() -> None:
    all_readings = readings_for(LATE, NOON)
    assert readings_for(LATE, NOON, NOON - timedelta(microseconds=1)).is_empty()
    assert readings_for(LATE, NOON, NOON + timedelta(hours=23)).equals(
        all_readings.filter(pl.col("arrival_time") == NOON)
    )
    assert readings_for(LATE, NOON, NOON + timedelta(days=1)).equals(all_readings)


def test_each_interval_has_one_arrival_on_time_and_one_late() -> None:
    due = arrivals_between(LATE, NOON, NOON + timedelta(minutes=10))

    assert [(a.at, a.time, a.late) for a in due] == [
        (NOON + timedelta(minutes=5), NOON + timedelta(minutes=5) - timedelta(days=1), True),
        (NOON + timedelta(minutes=5), NOON + timedelta(minutes=5), False),
        (NOON + timedelta(minutes=10), NOON + timedelta(minutes=10) - timedelta(days=1), True),
        (NOON + timedelta(minutes=10), NOON + timedelta(minutes=10), False),
    ]
    parts = [
        readings_in_arrival(LATE, a)
        for a in arrivals_between(LATE, NOON - timedelta(minutes=1), NOON + timedelta(days=1))
        if a.time == NOON
    ]
    assert frame.in_order(pl.concat(parts)).equals(readings_for(LATE, NOON))


def test_intervals_are_counted_from_midnight() -> None:
    quarter = Fleet(interval_minutes=15)
    start = datetime(2023, 2, 27, 23, 31, tzinfo=UTC)
    times = list(quarter.intervals(start, start + timedelta(minutes=44)))
    assert [t.strftime("%H:%M") for t in times] == ["23:45", "00:00", "00:15"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"interval_minutes": 7},
        {"devices": 0},
        {"minimum_load": 9, "maximum_load": 8},
        {"late_percent": 101},
        {"voltage": 0},
        {"seed": -1},
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(parameters: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(parameters)).split("_")[0]):
        Fleet(**parameters)  # type: ignore[arg-type] # each of these is a number
