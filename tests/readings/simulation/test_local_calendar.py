"""Local days, holidays, and the base curves of a day."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from readings.simulation import base_curves
from readings.simulation.local_calendar import (
    HOLIDAY,
    SATURDAY,
    WEEKDAY,
    day_type,
    easter_sunday,
    local_date,
    local_day,
)


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2026, 11, 26), WEEKDAY),
        (date(2026, 11, 28), SATURDAY),
        (date(2026, 11, 29), HOLIDAY),
        (date(2026, 1, 1), HOLIDAY),
        (date(2026, 4, 3), HOLIDAY),  # Good Friday
        (date(2026, 4, 6), HOLIDAY),  # Easter Monday
        (date(2026, 5, 14), HOLIDAY),  # Ascension Day
        (date(2026, 5, 25), HOLIDAY),  # Whit Monday
        (date(2026, 10, 3), HOLIDAY),  # a Saturday
        (date(2026, 12, 24), WEEKDAY),
    ],
)
def test_a_day_has_the_type_of_the_german_calendar(day: date, kind: int) -> None:
    assert day_type(day) == kind


@pytest.mark.parametrize(
    "sunday", [date(1961, 4, 2), date(2000, 4, 23), date(2024, 3, 31), date(2038, 4, 25)]
)
def test_easter_is_on_its_date(sunday: date) -> None:
    assert easter_sunday(sunday.year) == sunday


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)]
)
def test_a_day_on_which_clocks_change_has_another_length(day: date, hours: int) -> None:
    found = local_day("Europe/Berlin", day)

    assert found.seconds == hours * 3600
    assert len(found.hours) == hours * 4
    assert local_date("Europe/Berlin", found.start) == day
    assert local_date("Europe/Berlin", found.start - 1) < day
    curves = base_curves.cumulative_of_day(found)
    assert (np.diff(curves, axis=1) > 0).all()
    assert (curves[:, 0] == 0).all()
    assert (curves[:, -1] == 1).all()


def test_solar_time_has_no_daylight_saving_time() -> None:
    winter, summer = (local_day("Europe/Berlin", date(2026, month, 1)) for month in (1, 7))
    assert winter.solar_hours == winter.hours
    assert summer.hours[48] - summer.solar_hours[48] == 1


def test_the_local_date_is_that_of_the_zone() -> None:
    instant = datetime(2026, 6, 30, 23, 30, tzinfo=UTC).timestamp()
    assert local_date("Europe/Berlin", instant) == date(2026, 7, 1)
    assert local_date("America/New_York", instant) == date(2026, 6, 30)


def test_every_year_of_a_curve_has_the_energy_1() -> None:
    for year in (2023, 2024):
        before, after = (base_curves.years_until(date(each, 1, 1)) for each in (year, year + 1))
        assert np.allclose(after - before, 1)
        assert np.allclose(base_curves.shares_of_year(year).sum(axis=1), 1)


def test_the_table_has_the_energies_that_bdew_published() -> None:
    """A year of each curve is 1,000,000 kWh, within 1 %: BDEW rounds, and years have different holidays."""
    for number, curve in enumerate(base_curves.CURVES):
        days = [date.fromordinal(date(2026, 1, 1).toordinal() + n) for n in range(365)]
        dynamic = curve in {"h25", "p25", "s25"}
        energy = sum(
            base_curves.hours_of(curve, day).sum()
            * (base_curves.dynamic_factor(day) if dynamic else 1)
            for day in days
        )
        assert abs(energy - 1_000_000) < 10_000, curve
        assert len(base_curves.shares_of_year(2026)[number]) == 365
