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
_HIGHEST_SHARE = 0.25
"""An appliance uses at most this share of the contracted load."""
_STARTS = 512
_HOUR = 3600


@dataclass(frozen=True)
class Appliances:
    """When appliances of a day are on, by appliance and meter. Times are in seconds after midnight.

    ``power`` is in kWh per second. ``hours`` caches the appliances that are on in one hour: the last one requested.
    """

    starts: Floats
    ends: Floats
    power: Floats
    hours: dict[int, tuple[Indices, Floats, Floats, Floats]] = field(default_factory=dict)

    def between(self, start: float, end: float) -> Floats:
        """Return the energy of each meter between two times of the day.

        Within an hour, only the appliances that are on in this hour are summed. From midnight on, all are summed.
        Registers need this: each register is then the same sum, and never decreases.
        """
        hour = int(start // _HOUR)
        if start == 0 or end > (hour + 1) * _HOUR:
            return np.asarray(_overlap(self.starts, self.ends, self.power, start, end).sum(axis=0))
        known = self.hours.get(hour)
        if known is None:
            on = (self.starts < (hour + 1) * _HOUR) & (self.ends > hour * _HOUR)
            known = (np.nonzero(on)[1], self.starts[on], self.ends[on], self.power[on])
            self.hours.clear()
            self.hours[hour] = known
        meters, starts, ends, power = known
        energy = _overlap(starts, ends, power, start, end)
        return np.asarray(np.bincount(meters, weights=energy, minlength=self.starts.shape[1]))


def appliances_of_day(
    customers: Customers, day: LocalDay, curves: Floats, at_day: Bits, energy: Floats
) -> Appliances:
    """Return the appliances of a local day. Those of a meter use ``energy`` kWh together.

    The times follow the base curve, so the mean of many meters does, too.
    """
    quantiles = np.array(
        [
            np.interp(
                np.linspace(0, 1, _STARTS + 1), curve, np.linspace(0, day.seconds, len(curve))
            )
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
        quantile = np.where(time < _HABIT_SHARE, near, fresh) * _STARTS
        left = np.minimum(quantile.astype(np.int64), _STARTS - 1)
        index = customers.curve * (_STARTS + 1) + left
        middle = quantiles[index] + (quantiles[index + 1] - quantiles[index]) * (quantile - left)
        least = energies[number] / (customers.load * _HIGHEST_SHARE + 1e-9) * 3600
        length = np.maximum(shortest + (longest - shortest) * duration**2, least)
        length = np.minimum(length, day.seconds)
        starts[number] = np.clip(middle - length / 2, 0, day.seconds - length)
        ends[number] = np.minimum(starts[number] + length, day.seconds)
    return Appliances(starts, ends, energies / (ends - starts))


def _overlap(starts: Floats, ends: Floats, power: Floats, start: float, end: float) -> Floats:
    """Return the energy between two times of appliances that are on from ``starts`` to ``ends``."""
    on = np.minimum(ends, end)
    on -= np.maximum(starts, start)
    np.maximum(on, 0, out=on)
    on *= power
    return on
