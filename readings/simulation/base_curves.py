"""The base curves of the customer classes: how the energy of a year is distributed over its days and hours.

The table ``base_curves.csv`` was written by ``benchmarks/base_curves.py``, which explains it. The curves H25, G25, L25,
P25 and S25 are BDEW's standard load profiles. A year of each curve has the energy 1.
"""

from __future__ import annotations

import csv
from datetime import date
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from readings.simulation.local_calendar import LocalDay, day_type
from readings.simulation.random_numbers import Floats

CURVES = ("h25", "g25", "l25", "p25", "s25")
H25, G25, L25, P25, S25 = range(len(CURVES))
_DYNAMIC = (H25, P25, S25)
_DAY_TYPES = ("weekday", "saturday", "holiday")
_EPOCH = date(2020, 1, 1)
"""The day on which cumulative energies start at 0."""
_TABLE = Path(__file__).with_name("base_curves.csv")


@cache
def _rows() -> dict[tuple[str, int, str], list[float]]:
    """Return the 24 hours of each curve, month and day type."""
    with _TABLE.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return {
        (curve, int(month), day_type): [float(hour) for hour in hours]
        for curve, month, day_type, *hours in rows
    }


def hours_of(curve: str, day: date) -> Floats:
    """Return the 24 values of BDEW's profile on a day, without the dynamic factor."""
    return np.array(_rows()[curve, day.month, _DAY_TYPES[day_type(day)]])


def dynamic_factor(day: date) -> float:
    """Return BDEW's factor for the season, by which H25, P25 and S25 are multiplied."""
    number = day.timetuple().tm_yday
    return -3.92e-10 * number**4 + 3.2e-7 * number**3 - 7.02e-5 * number**2 + 0.0021 * number + 1.24


def day_number(day: date) -> int:
    """Return the number of days since 1 January 2020."""
    return (day - _EPOCH).days


@lru_cache(maxsize=8)
def shares_of_year(year: int) -> Floats:
    """Return the share of each day in the year's energy, by curve and day; each curve's sum is 1."""
    first = date(year, 1, 1).toordinal()
    days = [date.fromordinal(first + n) for n in range(date(year + 1, 1, 1).toordinal() - first)]
    factors = dict.fromkeys(CURVES, 1.0) | {CURVES[n]: 0.0 for n in _DYNAMIC}
    energy = np.array(
        [
            [hours_of(curve, day).sum() * (factors[curve] or dynamic_factor(day)) for day in days]
            for curve in CURVES
        ]
    )
    return np.asarray(energy / energy.sum(axis=1, keepdims=True))


def share_of_day(day: date) -> Floats:
    """Return each curve's share of the year's energy on a day."""
    return np.asarray(shares_of_year(day.year)[:, day.timetuple().tm_yday - 1])


def years_until(day: date) -> Floats:
    """Return each curve's energy from 1 January 2020 until a day begins. A year is 1."""
    before = shares_of_year(day.year)[:, : day.timetuple().tm_yday - 1]
    return np.asarray(before.sum(axis=1) + (day.year - _EPOCH.year))


def cumulative_of_day(day: LocalDay) -> Floats:
    """Return each curve's energy from midnight to the start of each slot and to the day's end, which is 1."""
    curves = np.array([_at_hours(hours_of(curve, day.date), day) for curve in CURVES])
    return cumulative(curves)


def heat_of_day(day: LocalDay) -> Floats:
    """Return the same as :func:`cumulative_of_day` for the energy of heat pumps, as one row."""
    hours = np.array(_rows()["heat", day.date.month, "any"])
    return cumulative(_at_hours(hours, day)[np.newaxis])


@lru_cache(maxsize=8)
def heat_shares_of_year(year: int) -> Floats:
    """Return the share of each day in the heat pump energy of a year without weather."""
    middle = [date(year, month, 15).timetuple().tm_yday for month in range(1, 13)]
    months = [sum(_rows()["heat", month, "any"]) for month in range(1, 13)]
    days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
    energy = np.interp(np.arange(1, days + 1), middle, months, period=days)
    return np.asarray(energy / energy.sum())


@cache
def car_starts() -> Floats:
    """Return the hours after noon at which charging begins, at 257 equal steps of probability from 0 to 1."""
    sessions = np.roll(_rows()["car", 0, "any"], -12)
    # Neighbouring hours are averaged: the table has only about 200 sessions.
    smooth = (np.roll(sessions, 1) + 2 * sessions + np.roll(sessions, -1)) / 4
    probability = np.concatenate([[0], np.cumsum(smooth) / smooth.sum()])
    return np.asarray(np.interp(np.linspace(0, 1, 257), probability, np.arange(25)))


def cumulative(densities: Floats) -> Floats:
    """Return the cumulative sums of rows, from 0 to 1: one value more than slots."""
    sums = np.cumsum(densities, axis=1)
    return np.concatenate([np.zeros((len(sums), 1)), sums / sums[:, -1:]], axis=1)


def _at_hours(hours: Floats, day: LocalDay) -> Floats:
    """Return hourly values at a day's slots. Each value belongs to the middle of its hour."""
    return np.asarray(np.interp(day.hours, np.arange(24) + 0.5, hours, period=24))
