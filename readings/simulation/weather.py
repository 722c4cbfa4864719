"""The weather that neighbours share: how much heat and sun a day has, and the clouds within it.

Weather needs no sum over earlier days: it shifts the heat and the sun of a year without weather by up to a few days.
The energy until the start of day ``d`` is that of the year without weather until ``d + shift(d)``. So a year has almost
the same energy as one without weather. A shift changes by less than a day from one day to the next, so energy never
decreases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from readings.simulation import base_curves, sun
from readings.simulation.local_calendar import LocalDay
from readings.simulation.random_numbers import (
    Bits,
    Floats,
    meter_streams,
    streams_at_number,
    uniform,
)

_HEAT, _SUN, _CLOUDS = 101, 102, 103
"""Channels of random numbers."""
_WEATHER_SEED = 0x77656174
"""Neighbourhoods are numbered like meters. This makes their random streams different from those of meters."""
_HEAT_SHIFTS = ((7, 0.55), (2, 0.38))
_SUN_SHIFTS = ((4, 0.15), (2, 0.25), (1, 0.55))
"""For each kind of weather: how many days it lasts, and by which part of a day it can change the shift each day."""
_COMMON = 0.8
"""The part of the weather that is the same in the whole town. The rest differs between neighbourhoods."""


@dataclass(frozen=True)
class PowerCurve:
    """Power that changes linearly between knots, by knot and neighbourhood, and the energy until each knot."""

    power: Floats
    energy: Floats

    @classmethod
    def through(cls, power: Floats) -> PowerCurve:
        """Return the curve through the power at each knot. The time between two knots is the unit of time."""
        steps = np.cumsum((power[:-1] + power[1:]) / 2, axis=0)
        return cls(power, np.concatenate([np.zeros((1, power.shape[1])), steps]))

    def until(self, position: float) -> Floats:
        """Return the energy of each neighbourhood until a position; knot ``n`` is at position ``n``."""
        knot = min(int(position), len(self.power) - 2)
        rest = position - knot
        if rest == 1:
            return np.asarray(self.energy[knot + 1])
        left, right = self.power[knot], self.power[knot + 1]
        return np.asarray(self.energy[knot] + rest * (left + (right - left) * (rest / 2)))


@dataclass(frozen=True)
class Weather:
    """The weather of a local day, by neighbourhood. Energies are in parts of a year's energy.

    ``heat_before`` and ``sun_before`` are the energies since 1 January 2020, ``heat`` is the energy of the day, and
    ``sun_after`` is the solar energy from 2020 until the day ends. ``sunshine`` is the solar power within the day,
    whose energy is 1. Its knots are the starts of the slots. ``skewed_sunshine`` counts the morning as negative: at 6
    and 18 o'clock with weight 1, at noon with 0.
    """

    heat_before: Floats
    heat: Floats
    sun_before: Floats
    sun_after: Floats
    sunshine: PowerCurve
    skewed_sunshine: PowerCurve


def weather_of_day(seed: int, latitude: float, day: LocalDay, neighbourhoods: int) -> Weather:
    """Return the weather of neighbourhoods 0 to ``neighbourhoods`` - 1."""
    number = base_curves.day_number(day.date)
    # The first stream is the one of the whole town.
    streams = meter_streams(seed ^ _WEATHER_SEED, np.arange(neighbourhoods + 1, dtype=np.uint64))
    heat_before, heat_after = _energies(
        streams, _HEAT, number, _HEAT_SHIFTS, base_curves.heat_shares_of_year
    )
    sun_before, sun_after = _energies(
        streams, _SUN, number, _SUN_SHIFTS, lambda year: sun.solar_shares_of_year(latitude, year)
    )
    expected = sun.solar_shares_of_year(latitude, day.date.year)[day.date.timetuple().tm_yday - 1]
    brightness = np.minimum((sun_after - sun_before) / expected, 2) / 2
    sunshine = _sunshine(streams, latitude, day, number, brightness)
    side = _at_knots(np.clip((np.array(day.solar_hours) - 12) / 6, -1, 1))
    return Weather(
        heat_before,
        heat_after - heat_before,
        sun_before,
        sun_after,
        PowerCurve.through(sunshine),
        PowerCurve.through(sunshine * side[:, np.newaxis]),
    )


def value_noise(streams: Bits, channel: int, position: float) -> Floats:
    """Return noise from 0 to 1 that changes linearly between random values at whole positions."""
    knot = int(np.floor(position))
    fraction = position - knot
    left, right = (
        uniform(streams_at_number(streams, knot + step), channel, 0, 1) for step in (0, 1)
    )
    return left + (right - left) * fraction


def rather_extreme(noise: Floats) -> Floats:
    """Move noise from 0 to 1 towards both ends, so that days are more often good or bad than in between."""
    return np.asarray(noise * noise * (3 - 2 * noise))


def _energies(
    streams: Bits,
    channel: int,
    number: int,
    shifts: tuple[tuple[int, float], ...],
    shares_of_year: Callable[[int], Floats],
) -> tuple[Floats, Floats]:
    """Return the cumulative energy at the start and at the end of a day.

    The end of a day and the start of the next one are computed in the same way, so they are equal to the last digit.
    """
    at_start, at_end = (
        np.interp(
            each + _shift(streams, channel, each, shifts),
            np.arange(each - 12, each + 14),
            _cumulative(shares_of_year, each - 12, 26),
        )
        for each in (number, number + 1)
    )
    return at_start, at_end


def _cumulative(shares_of_year: Callable[[int], Floats], first: int, days: int) -> Floats:
    """Return the energy of a year without weather at the start of ``days`` days from day number ``first``."""
    start = date(2020, 1, 1) + timedelta(days=first)
    position = start.timetuple().tm_yday - 1
    shares = np.concatenate([shares_of_year(start.year), shares_of_year(start.year + 1)])
    sums = np.concatenate([[0.0], np.cumsum(shares[: position + days])])
    return np.asarray(sums[position : position + days] + (start.year - 2020))


def _shift(
    streams: Bits, channel: int, number: int, shifts: tuple[tuple[int, float], ...]
) -> Floats:
    """Return by how many days the weather is ahead at the start of a day, for each neighbourhood."""
    shift = np.zeros(len(streams))
    for kind, (days, change) in enumerate(shifts):
        noise = value_noise(streams, channel + 10 * kind, number / days)
        shift += days * change * ((rather_extreme(noise) if days == 1 else noise) - 0.5)
    return _shared(shift)


def _sunshine(
    streams: Bits, latitude: float, day: LocalDay, number: int, brightness: Floats
) -> Floats:
    """Return the solar power within the day, with passing clouds, by knot and neighbourhood."""
    clear = _clear_sky(latitude, day)[:, np.newaxis]
    at_day = streams_at_number(streams, number)
    # Clouds pass in about three quarters of an hour. Very bright and very dark days have few gaps.
    drawn = np.array([uniform(at_day, _CLOUDS + knot, 0, 1) for knot in range(len(clear) // 3 + 2)])
    cloud, step = np.divmod(np.arange(len(clear)), 3)
    clouds = drawn[cloud] + (drawn[cloud + 1] - drawn[cloud]) * (step / 3)[:, np.newaxis]
    depth = 3.2 * brightness * (1 - brightness)
    power = clear * (1 - depth * _shared(clouds.T).T)
    return np.asarray(power / PowerCurve.through(power).energy[-1])


@lru_cache(maxsize=4)
def _clear_sky(latitude: float, day: LocalDay) -> Floats:
    """Return the solar power at the start of each slot and at the day's end, without clouds."""
    return _at_knots(
        np.array([sun.solar_power(latitude, day.date, hour) for hour in day.solar_hours])
    )


def _at_knots(middles: Floats) -> Floats:
    """Return the values at the start of each slot and at the day's end, from those in the middle of slots."""
    around = np.concatenate([middles[:1], middles, middles[-1:]])
    return np.asarray((around[:-1] + around[1:]) / 2)


def _shared(values: Floats) -> Floats:
    """Return values per neighbourhood: mostly those of the whole town, which come first."""
    return np.asarray(_COMMON * values[0] + (1 - _COMMON) * values[1:])
