"""Solar power at a latitude, for a plane that faces the equator with 70 % of the latitude as its tilt."""

from __future__ import annotations

import math
from datetime import date
from functools import lru_cache

import numpy as np

from readings.simulation.random_numbers import Floats

_TILT = 0.7
_DIRECT, _DIFFUSE = 0.55, 0.45
"""Parts of the direct and the diffuse light. In central Europe, about half of a year's light is diffuse."""
_LATITUDES = (20, 41, 45, 48, 51, 60)
_CLEARNESS = (0.70, 0.71, 0.63, 0.55, 0.545, 0.665)
_QUARTER_HOURS = tuple((slot + 0.5) / 4 for slot in range(96))


def solar_power(latitude: float, day: date, solar_hour: float) -> float:
    """Return the power at a solar hour, relative to the sun in the zenith.

    The declination follows Cooper's formula ("The absorption of radiation in solar stills", Solar Energy 12, 1969).
    """
    declination = math.radians(23.45) * math.sin(math.tau * (284 + day.timetuple().tm_yday) / 365)
    hour_angle = math.pi * (solar_hour - 12) / 12
    elevation = _cosine(math.radians(latitude), declination, hour_angle)
    if elevation <= 0:
        return 0.0
    incidence = _cosine(math.radians(latitude * (1 - _TILT)), declination, hour_angle)
    # Meinel and Meinel, "Applied Solar Energy", 1976: how much light a clear atmosphere lets through.
    transmitted = math.pow(0.7, math.pow(1 / elevation, 0.678))
    power = transmitted / 0.7 * (_DIRECT * max(0.0, incidence) + _DIFFUSE * elevation)
    # The last digits of a sine differ between machines.
    return round(power, 9)


def full_load_hours(latitude: float) -> float:
    """Return how many hours at its peak power a solar plant needs for the energy of a year."""
    return float(_energies_of_year(latitude, 2021).sum()) * _clearness(latitude)


@lru_cache(maxsize=8)
def solar_shares_of_year(latitude: float, year: int) -> Floats:
    """Return the share of each day in the solar energy of a year without weather."""
    energies = _energies_of_year(latitude, year)
    return np.asarray(energies / energies.sum())


@lru_cache(maxsize=8)
def _energies_of_year(latitude: float, year: int) -> Floats:
    """Return the energy of each day in hours at full power, without clouds."""
    first = date(year, 1, 1).toordinal()
    days = range(first, date(year + 1, 1, 1).toordinal())
    # Every fifth day; the days between are interpolated.
    known = list(range(0, len(days), 5))
    energies = [
        sum(solar_power(latitude, date.fromordinal(days[n]), hour) for hour in _QUARTER_HOURS) / 4
        for n in known
    ]
    return np.asarray(np.interp(np.arange(len(days)), known, energies, period=len(days)))


def _clearness(latitude: float) -> float:
    """Return the electricity of a plant in a year, relative to the light of a year without clouds.

    Fitted to the irradiation of eight towns in Europe (docs/fleet.md), with a performance ratio of 0.8.
    """
    return float(np.interp(abs(latitude), _LATITUDES, _CLEARNESS))


def _cosine(latitude: float, declination: float, hour_angle: float) -> float:
    """Return the cosine of the angle between the sun and a plane that is horizontal at the latitude."""
    return math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(
        declination
    ) * math.cos(hour_angle)
