"""Shares of the customer classes, and the time zone of the local calendar."""

from __future__ import annotations

from collections import Counter

import pytest

from readings.simulation.customers import customer_classes
from readings.simulation.fleet import Fleet
from readings.simulation.town import CLASSES, DEFAULT_SHARES, Town, parse_shares


def test_the_default_shares_name_every_class() -> None:
    assert set(parse_shares(DEFAULT_SHARES)) == set(CLASSES)


@pytest.mark.parametrize(
    ("shares", "problem"),
    [
        ("household=60,shop=30", "shares: the percentages add up to 90, not to 100."),
        ("household=60,shop=41", "shares: the percentages add up to 101, not to 100."),
        ("", "shares: the percentages add up to 0, not to 100."),
        ("household=60,household=40", "shares: household occurs twice."),
        ("household=60,castle=40", "shares: 'castle' is not a customer class; use household, "),
        ("household=many", "shares: household=many is not a number from 0 to 100."),
        ("household=-5,shop=105", "shares: household=-5 is not a number from 0 to 100."),
        ("household=nan", "shares: household=nan is not a number from 0 to 100."),
        ("household", "shares: household= is not a number from 0 to 100."),
    ],
)
def test_wrong_shares_are_refused_with_one_line(shares: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"^shares: ") as refused:
        Town(shares=shares)
    assert str(refused.value).startswith(problem)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "..", "/etc/passwd", "Europe", "a\0b"])
def test_an_unknown_time_zone_is_refused_with_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=r"^timezone: .* is not a time zone; write one such as"):
        Town(timezone=name)


@pytest.mark.parametrize("latitude", [66.0, -90.0, float("nan")])
def test_a_latitude_without_sunrise_is_refused(latitude: float) -> None:
    with pytest.raises(ValueError, match=r"^latitude: "):
        Town(latitude=latitude)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^profile: 'gaussian' is not one of uniform, mixed"):
        Fleet(profile="gaussian")


def test_the_fleet_has_the_shares_that_are_set() -> None:
    town = Town(shares="household=50, household_pv = 25, farm=24.5, small_industry=0.5, shop=0")
    fleet = Fleet(devices=20_000, profile="mixed", town=town)

    counted = Counter(customer_classes(fleet, fleet.meters.device_id))

    assert set(counted) == {"household", "household_pv", "farm", "small_industry"}
    assert abs(counted["household"] - 10_000) < 300
    assert abs(counted["household_pv"] - 5_000) < 300
    assert 60 < counted["small_industry"] < 140


def test_a_class_with_all_meters_has_all_meters() -> None:
    fleet = Fleet(devices=2_000, profile="mixed", town=Town(shares="farm=100"))
    assert set(customer_classes(fleet, fleet.meters.device_id)) == {"farm"}
