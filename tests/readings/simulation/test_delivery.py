"""The delivery curve, and outages of the communication of neighbourhoods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from readings import frame
from readings.simulation.arrivals import (
    arrivals_between,
    missing_percent,
    readings_for,
    readings_in_arrival,
)
from readings.simulation.delivery import outage_ends, stage_instants
from readings.simulation.fleet import Fleet
from readings.simulation.town import DeliveryCurve, Town, parse_delivery

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
CURVE = DeliveryCurve((80, 90, 98, 99))
FLEET = Fleet(devices=6_000, delivery=CURVE, interval_minutes=60)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "curve"),
    [
        ("off", None),
        ("on", DeliveryCurve()),
        ("ON", DeliveryCurve()),
        ("50, 60,70,100", DeliveryCurve((50, 60, 70, 100))),
    ],
)
def test_a_curve_is_off_on_or_four_percentages(text: str, curve: DeliveryCurve | None) -> None:
    assert parse_delivery(text) == curve


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,x", "90,80,98,99", "90,95,98,101", "nan,1,2,3"]
)
def test_a_wrong_curve_is_refused_with_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^delivery: [^\n]*$"):
        parse_delivery(text)


def test_98_percent_are_present_by_five_by_default() -> None:
    assert DeliveryCurve().shares[2] == 98


def test_a_curve_and_late_arrivals_are_refused_together() -> None:
    with pytest.raises(ValueError, match=r"^delivery: late arrivals are on too"):
        Fleet(delivery=CURVE, late_arrivals=True)


@pytest.mark.parametrize(
    ("time", "five"),
    [
        (datetime(2026, 5, 1, 12, tzinfo=UTC), datetime(2026, 5, 2, 3, tzinfo=UTC)),
        (datetime(2026, 5, 1, 22, tzinfo=UTC), datetime(2026, 5, 2, 3, tzinfo=UTC)),
        (datetime(2026, 5, 1, 22, 5, tzinfo=UTC), datetime(2026, 5, 3, 3, tzinfo=UTC)),
        (datetime(2026, 1, 10, 12, tzinfo=UTC), datetime(2026, 1, 11, 4, tzinfo=UTC)),
    ],
)
def test_five_is_that_of_the_next_local_day(time: datetime, five: datetime) -> None:
    assert stage_instants(time, BERLIN)[2] == five


def test_the_shares_of_the_curve_are_present_at_its_times() -> None:
    times = [NOON + n * timedelta(hours=5) for n in range(6)]
    for age, share in (
        (timedelta(minutes=5), 80),
        (timedelta(hours=1), 90),
        (timedelta(hours=40), 98),
        (timedelta(days=3), 99),
    ):
        present = np.mean([len(readings_for(FLEET, time, time + age)) for time in times])
        assert abs(present / 60 - share) < 1.2
        assert missing_percent(FLEET, NOON, NOON + age) == 100 - share
    assert readings_for(FLEET, NOON, NOON - timedelta(microseconds=1)).is_empty()


@pytest.mark.parametrize("profile", ["uniform", "mixed"])
def test_delivery_changes_no_value(profile: str) -> None:
    curve = DeliveryCurve((50, 60, 70, 100))
    delivered = readings_for(Fleet(devices=500, profile=profile, delivery=curve), NOON)
    plain = readings_for(Fleet(devices=500, profile=profile), NOON)
    assert delivered.drop("arrival_time").equals(plain.drop("arrival_time"))


def test_each_reading_is_part_of_exactly_one_arrival() -> None:
    due = arrivals_between(FLEET, NOON - timedelta(minutes=1), NOON + timedelta(days=3))
    parts = [readings_in_arrival(FLEET, arrival) for arrival in due if arrival.time == NOON]

    assert [len(part) > 0 for part in parts] == [True] * 4
    assert frame.in_order(pl.concat(parts)).equals(readings_for(FLEET, NOON))
    for arrival, part in zip([a for a in due if a.time == NOON], parts, strict=True):
        assert set(part["arrival_time"]) == {arrival.at}
    assert due == sorted(due)


def test_arrivals_of_two_windows_are_those_of_both_together() -> None:
    middle, end = NOON + timedelta(hours=17, minutes=3), NOON + timedelta(days=4)
    both = arrivals_between(FLEET, NOON, end)
    first, second = arrivals_between(FLEET, NOON, middle), arrivals_between(FLEET, middle, end)
    assert first + second == both
    assert all(NOON < arrival.at <= end for arrival in both)


def test_delivery_does_not_depend_on_batches() -> None:
    batches = Fleet(devices=6_000, devices_per_batch=501, delivery=CURVE, interval_minutes=60)
    assert readings_for(batches, NOON).equals(readings_for(FLEET, NOON))


def test_an_outage_silences_a_whole_neighbourhood() -> None:
    neighbourhoods = np.arange(50, dtype=np.uint64)
    times = [NOON + n * timedelta(hours=1) for n in range(24 * 14)]
    ends = np.array([outage_ends(0, neighbourhoods, time) for time in times])
    hour, silent = (int(found[0]) for found in np.nonzero(ends))
    time = times[hour]

    on_time = readings_for(FLEET, time, time + timedelta(minutes=5))

    number = FLEET.meters.number.astype(np.int64)
    ids = FLEET.meters.device_id.filter(pl.Series((number - 1) // 120 == silent))
    assert not set(ids) & set(on_time["device_id"])
    assert 0 < (ends > 0).mean() < 0.01
    last = readings_for(FLEET, time)
    assert len(set(ids) & set(last["device_id"])) > 100


def test_an_outage_that_lasts_beyond_five_delays_readings_by_three_days() -> None:
    town = Town(timezone="UTC")
    neighbourhoods = np.arange(50, dtype=np.uint64)
    for night in range(60):
        time = datetime(2026, 1, 1, 23, tzinfo=UTC) + timedelta(days=night)
        five = time + timedelta(hours=6)
        long = np.flatnonzero(outage_ends(0, neighbourhoods, time) > five.timestamp())
        if len(long):
            break
    fleet = Fleet(devices=6_000, delivery=CURVE, interval_minutes=60, town=town)
    number = fleet.meters.number.astype(np.int64)
    ids = fleet.meters.device_id.filter(pl.Series((number - 1) // 120 == long[0]))
    found = readings_for(fleet, time).filter(pl.col("device_id").is_in(ids.to_list()))
    assert set(found["arrival_time"]) == {time + timedelta(days=3)}
