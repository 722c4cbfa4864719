"""Appliances that are switched on and off."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from readings.simulation.customers import Customers, Indices
from readings.simulation.local_calendar import LocalDay
from readings.simulation.random_numbers import Bits, Floats, thirds, uniform

_APPLIANCES = 8
"""How many times appliances are switched on a day."""
_HABIT_SHARE = 0.5
"""The share of appliances that are switched on at about the meter's usual time."""
_APPLIANCE, _USUAL_TIME = 50, 60
"""The first channels of random numbers for the appliances, and for their usual times."""
_HIGHEST_SHARE = 0.25
"""An appliance uses at most this share of the contracted load."""
_STEPS = 512
"""The equal steps of probability at which a base curve is tabulated."""
_HOUR = 3600


@dataclass(frozen=True)
class HourOfAppliances:
    """The energy that each meter's appliances have used before an hour, and the appliances that are on in this hour.

    ``starts`` is when each appliance is switched on, or the start of the hour if it was already on. Times are in
    seconds after midnight.
    """

    number: int
    before: Floats
    meters: Indices
    starts: Floats
    ends: Floats
    power: Floats

    def until(self, time: float) -> Floats:
        """Return the energy of each meter from midnight until a time in this hour, or until its end."""
        start = self.number * _HOUR
        if time == start:
            return self.before
        on = np.minimum(self.ends, time)
        on -= self.starts
        np.maximum(on, 0, out=on)
        on *= self.power
        return self.before + np.bincount(self.meters, weights=on, minlength=len(self.before))


@dataclass(frozen=True)
class Appliances:
    """When appliances of a day are on, by appliance and meter. Times are in seconds after midnight.

    ``power`` is in kWh per second. ``recent`` caches the hour that was requested last.
    """

    starts: Floats
    ends: Floats
    power: Floats
    recent: dict[int, HourOfAppliances] = field(default_factory=dict)

    def until(self, time: float) -> Floats:
        """Return the energy of each meter from midnight until a time of the day.

        It is the sum of the hours before, always in the same order, and of a part of this hour. So it does not depend
        on earlier calls, and never decreases.
        """
        number = int(time // _HOUR)
        hour = self.recent.get(0)
        if hour is None or hour.number > number:
            hour = self._hour(0, np.zeros(self.starts.shape[1]))
        while hour.number < number:
            hour = self._hour(hour.number + 1, hour.until((hour.number + 1) * _HOUR))
        self.recent[0] = hour
        return hour.until(time)

    def _hour(self, number: int, before: Floats) -> HourOfAppliances:
        start = number * _HOUR
        on = np.flatnonzero((self.starts < start + _HOUR) & (self.ends > start))
        starts, ends, power = (values.take(on) for values in (self.starts, self.ends, self.power))
        np.maximum(starts, start, out=starts)
        return HourOfAppliances(number, before, on % self.starts.shape[1], starts, ends, power)


def appliances_of_day(
    customers: Customers, day: LocalDay, curves: Floats, at_day: Bits, energy: Floats
) -> Appliances:
    """Return the appliances of a local day. Those of a meter use ``energy`` kWh together.

    The times follow the base curve, so the mean of many meters does, too.
    """
    quantiles = np.array(
        [
            np.interp(np.linspace(0, 1, _STEPS + 1), curve, np.linspace(0, day.seconds, len(curve)))
            for curve in curves
        ]
    ).ravel()
    shortest, longest = (60 * customers.of_class(name) for name in ("shortest", "longest"))
    drawn = [thirds(at_day, _APPLIANCE + number) for number in range(_APPLIANCES)]
    weights = np.array([0.15 + weight * weight for _, weight, _ in drawn])
    energies = energy * weights / weights.sum(axis=0)
    starts, ends = np.empty_like(energies), np.empty_like(energies)
    for number, (time, _, duration) in enumerate(drawn):
        usual = uniform(customers.streams, _USUAL_TIME + number, 0, 1)
        # Half of the draws only vary the usual time. Both halves are uniform, so the times of all meters are, too.
        near = np.mod(usual + 0.1 * time, 1)
        fresh = (time - _HABIT_SHARE) / (1 - _HABIT_SHARE)
        quantile = np.where(time < _HABIT_SHARE, near, fresh) * _STEPS
        left = np.minimum(quantile.astype(np.int64), _STEPS - 1)
        index = customers.curve * (_STEPS + 1) + left
        middle = quantiles[index] + (quantiles[index + 1] - quantiles[index]) * (quantile - left)
        least = energies[number] / (customers.load * _HIGHEST_SHARE + 1e-9) * 3600
        length = np.maximum(shortest + (longest - shortest) * duration**2, least)
        length = np.minimum(length, day.seconds)
        starts[number] = np.clip(middle - length / 2, 0, day.seconds - length)
        ends[number] = np.minimum(starts[number] + length, day.seconds)
    return Appliances(starts, ends, energies / (ends - starts))
