"""The profile ``mixed`` is realistic: the figures of docs/fleet.md, with fewer meters and days."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from benchmarks.fleet_statistics import (
    BDEW_CLASSES,
    Floats,
    coincidence,
    correlation_with_bdew,
    days_of_year,
    energy_of_year,
    fleet_of,
    full_load_hours,
    hourly_import,
    households,
)
from readings.simulation.town import CLASSES

WINTER = [date(2026, 1, 5) + timedelta(days=n) for n in range(28)]
SUMMER = [date(2026, 6, 8) + timedelta(days=n) for n in range(28)]


@pytest.fixture(scope="module")
def hours() -> Floats:
    """The hourly energy of 300 households in four weeks of winter and four weeks of summer."""
    return hourly_import(fleet_of("household", 300), WINTER + SUMMER)


@pytest.mark.parametrize("kind", list(BDEW_CLASSES))
def test_the_mean_of_a_class_follows_its_standard_load_profile(kind: str) -> None:
    assert correlation_with_bdew(kind, 1_500, days_of_year(2026, 17)) > 0.98


@pytest.mark.parametrize("kind", CLASSES)
def test_a_year_of_a_class_has_the_energy_that_it_should_have(kind: str) -> None:
    assert abs(energy_of_year(kind, 300, 2026) - 1) < 0.02


def test_single_households_are_as_varied_as_those_of_published_profiles(hours: Floats) -> None:
    """Quantiles of the fleet overlap the range of synPRO's four households (docs/fleet.md)."""
    found = households(hours)

    assert 2.1 < np.median(found.peak_kw) < 3.6
    assert 0.07 < np.median(found.load_factor) < 0.17
    assert 0.4 < np.median(found.night_to_day) < 0.78
    assert 0.2 < np.median(found.day_variation) < 0.34
    lowest, highest = np.quantile(found.day_variation, [0.05, 0.95])
    assert highest > 1.6 * lowest


def test_the_peak_per_household_falls_with_their_number(hours: Floats) -> None:
    factors = coincidence(hours, [1, 2, 5, 20, 100, 300])

    values = list(factors.values())
    assert values == sorted(values, reverse=True)
    assert factors[1] == 1
    assert 0.35 < factors[5] < 0.65
    assert 0.15 < factors[300] < 0.3
    # Low Carbon London found peaks of 0.54 to 1.78 kW per household.
    assert 0.54 < hours.sum(axis=2).max() / hours.shape[2] < 1.78


def test_no_two_households_are_alike_and_none_repeats_a_day(hours: Floats) -> None:
    days = hours.transpose(2, 0, 1).reshape(-1, 24).round(3)
    assert len(np.unique(days, axis=0)) == len(days)
    shapes = hours.mean(axis=0)
    correlations = np.corrcoef((shapes / shapes.mean(axis=0)).T)
    np.fill_diagonal(correlations, 0)
    assert correlations.max() < 0.999


@pytest.mark.parametrize("town", list(full_load_hours()))
def test_solar_plants_have_the_full_load_hours_of_their_latitude(town: str) -> None:
    ours, theirs = full_load_hours()[town]
    assert abs(ours / theirs - 1) < 0.1
