"""How realistic the profile ``mixed`` is: the figures of docs/fleet.md, for tests and ``benchmarks.fleet``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from readings.simulation import base_curves, sun
from readings.simulation.customers import customers_of
from readings.simulation.fleet import Fleet
from readings.simulation.fleet_day import fleet_day_at
from readings.simulation.local_calendar import local_day
from readings.simulation.registers import registers
from readings.simulation.town import Town

Floats = npt.NDArray[np.float64]

BDEW_CLASSES = {
    "household": "h25",
    "household_pv": "p25",
    "shop": "g25",
    "office": "g25",
    "farm": "l25",
    "small_industry": "g25",
}
"""The classes whose import has a standard load profile, without the solar plants that have a battery."""
IRRADIATION = {
    "Athens": (38.0, 1696),
    "Madrid": (40.4, 1864),
    "Genoa": (44.4, 1637),
    "Bordeaux": (44.8, 1448),
    "Milan": (45.5, 1342),
    "Zurich": (47.4, 1237),
    "Prague": (50.1, 1115),
    "Stockholm": (59.3, 1232),
}
"""Latitude, and irradiation of a year on a plane that faces south with a tilt of 45 degrees, in kWh/m²."""
PERFORMANCE_RATIO = 0.8


@dataclass(frozen=True)
class Household:
    """Figures of single households, one value each."""

    peak_kw: Floats
    load_factor: Floats
    night_to_day: Floats
    day_variation: Floats


def fleet_of(kind: str, meters: int, interval_minutes: int = 5) -> Fleet:
    """Return a fleet with one customer class."""
    return Fleet(
        devices=meters, interval_minutes=interval_minutes, profile="mixed", town=Town(f"{kind}=100")
    )


def days_of_year(year: int, step: int) -> list[date]:
    """Return every ``step``-th day of a year."""
    first = date(year, 1, 1)
    return [first + timedelta(days=n) for n in range(0, 365, step)]


def hourly_import(fleet: Fleet, days: Sequence[date]) -> Floats:
    """Return the imported energy in kWh of each hour of local days of 24 hours, by day, hour and meter."""
    found = []
    for day in days:
        start = local_day(fleet.town.timezone, day).start
        energy = fleet_day_at(fleet, start).batch(0).energy
        found.append(np.diff([energy.imported_until(hour * 3600) for hour in range(25)], axis=0))
    return np.array(found)


def correlation_with_bdew(kind: str, meters: int, days: Sequence[date]) -> float:
    """Return the correlation of a class's mean hours with its standard load profile."""
    fleet = fleet_of(kind, meters)
    curve = BDEW_CLASSES[kind]
    chosen = customers_of(fleet, fleet.meters).curve == base_curves.CURVES.index(curve)
    # On the other days, clocks change and local hours are missing or repeated.
    days = [day for day in days if local_day(fleet.town.timezone, day).seconds == 86_400]
    mean = hourly_import(fleet, days)[:, :, chosen].mean(axis=2)
    dynamic = curve in {"h25", "p25", "s25"}
    expected = [
        base_curves.hours_of(curve, day) * (base_curves.dynamic_factor(day) if dynamic else 1)
        for day in days
    ]
    return float(np.corrcoef(mean.ravel(), np.concatenate(expected))[0, 1])


def energy_of_year(kind: str, meters: int, year: int) -> float:
    """Return a class's imported energy of a year, relative to what its meters should have by their habits."""
    fleet = fleet_of(kind, meters)
    start, end = (
        registers(fleet, datetime(each, 1, 1, tzinfo=UTC))["import_kwh"].to_numpy()
        for each in (year, year + 1)
    )
    customers = customers_of(fleet, fleet.meters)
    expected = customers.energy + customers.heat_energy + customers.car_energy
    return float(((end - start) % 1_000_000).sum() / expected.sum())


def households(hours: Floats) -> Household:
    """Return the figures of households from their hourly energy, by day, hour and meter."""
    days = hours.sum(axis=1)
    peak = hours.max(axis=(0, 1))
    return Household(
        peak_kw=peak,
        load_factor=hours.mean(axis=(0, 1)) / peak,
        night_to_day=hours[:, 1:5].mean(axis=(0, 1)) / hours[:, 8:20].mean(axis=(0, 1)),
        day_variation=days.std(axis=0) / days.mean(axis=0),
    )


def coincidence(hours: Floats, sizes: Sequence[int]) -> dict[int, float]:
    """Return the peak of N meters divided by the sum of their peaks: the mean of several random groups of each size."""
    series = hours.reshape(-1, hours.shape[2])
    peaks = series.max(axis=0)
    generator = np.random.default_rng(0)
    found = {}
    for size in sizes:
        groups = [generator.choice(len(peaks), size, replace=False) for _ in range(12)]
        ratios = [series[:, group].sum(axis=1).max() / peaks[group].sum() for group in groups]
        found[size] = float(np.mean(ratios))
    return found


def full_load_hours() -> dict[str, tuple[float, float]]:
    """Return the fleet's full-load hours at the latitude of each town, and those that its irradiation gives."""
    return {
        town: (sun.full_load_hours(latitude), PERFORMANCE_RATIO * irradiation)
        for town, (latitude, irradiation) in IRRADIATION.items()
    }
