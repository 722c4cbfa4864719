"""Charging of electric cars at home.

Session number ``j`` of a meter with ``r`` sessions a day begins on day ``(j + delay) / r``, with a random delay below
``1 - r``. So there is at most one session a day, and the number of sessions before any day has a closed form. Days are
counted from noon to noon, because cars are charged overnight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from readings.simulation import base_curves
from readings.simulation.customers import Customers, Indices
from readings.simulation.local_calendar import LocalDay
from readings.simulation.random_numbers import Bits, Floats, streams_at_number, thirds

_SESSION = 80
"""The channel of random numbers for the start of a session. The next one is for its energy."""
_HALF_DAY = 12 * 3600
_DAY = 24 * 3600
_ENERGY_VARIATION = 0.5
"""By how much the energy of a session may differ from the mean, as a part of the mean."""
_HIGHEST_SHARE, _HIGHEST_POWER = 0.45, 11.0
"""A car charges with this share of the contracted load, and at most with 11 kW."""
_DAYS_PER_YEAR = 365.2425


@dataclass(frozen=True)
class CarCharging:
    """The sessions of cars on a local day: those that begin before its noon, and those that begin later.

    ``before`` is the energy that was charged from 2020 until the day begins, in kWh. Times are in seconds after
    midnight; power is in kWh per second.
    """

    before: Floats
    starts: Floats
    ends: Floats
    power: Floats

    def between(self, start: float, end: float) -> Floats:
        """Return the energy of each car between two times of the day."""
        on = np.minimum(self.ends, end) - np.maximum(self.starts, start)
        return np.asarray((np.maximum(on, 0) * self.power).sum(axis=0))


def car_charging(customers: Customers, cars: Indices, day: LocalDay, number: int) -> CarCharging:
    """Return the sessions of the customers with the indices ``cars`` on a day. ``number`` is its day number."""
    streams, rate = customers.streams[cars], customers.car_sessions[cars]
    energy = customers.car_energy[cars] / (_DAYS_PER_YEAR * rate)
    kilowatt = np.minimum(_HIGHEST_SHARE * customers.load[cars], _HIGHEST_POWER) + 1e-9
    rows = [
        _session(streams, rate, energy, kilowatt, number + step, noon)
        for step, noon in ((-1, -_HALF_DAY), (0, day.seconds - _HALF_DAY))
    ]
    starts, ends, power = (np.array([row[n] for row in rows]) for n in (1, 2, 3))
    # What was charged before midnight belongs to the energy before the day.
    earlier = (np.minimum(ends, 0) - np.minimum(starts, 0)) * power
    return CarCharging(rows[0][0] + earlier.sum(axis=0), starts, ends, power)


def _session(
    streams: Bits, rate: Floats, energy: Floats, kilowatt: Floats, number: int, noon: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the energy before the noon of day ``number``, and start, end and power of the session after it.

    A meter without a session gets one of no energy.
    """
    session = np.ceil(rate * (number + 1)).astype(np.int64) - 1
    delay, time, _ = thirds(streams_at_number(streams, session.view(np.uint64)), _SESSION)
    begins = np.floor((session + delay * (1 - rate)) / rate)
    sessions_before = np.where(begins < number, session + 1, session)
    until_start, until_end = (
        energy * (sessions + _ENERGY_VARIATION * _random(streams, sessions))
        for sessions in (sessions_before, sessions_before + 1)
    )
    charged = np.where(begins == number, until_end - until_start, 0)
    length = charged / kilowatt * 3600 + 1
    latest = np.maximum(_DAY - length, 0)
    start = noon + np.minimum(_time_after_noon(time), latest)
    return until_start, start, start + length, charged / length


def _random(streams: Bits, sessions: Indices) -> Floats:
    return thirds(streams_at_number(streams, sessions.view(np.uint64)), _SESSION + 1)[0]


def _time_after_noon(probability: Floats) -> Floats:
    """Return the time after noon, in seconds, before which a session begins with this probability."""
    starts = base_curves.car_starts()
    return np.asarray(3600 * np.interp(probability, np.linspace(0, 1, len(starts)), starts))
