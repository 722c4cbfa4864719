"""The base curves of a local day, which all meters of a fleet share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from readings.simulation import base_curves
from readings.simulation.customers import Customers, Indices
from readings.simulation.local_calendar import LocalDay
from readings.simulation.random_numbers import Floats

_DUTY = 0.35
"""The share of the time in which a refrigerator or compressor runs."""
_PHASES = 32
_CYCLES = 20
_SHIFTS = 5
"""A meter's day is shifted by up to two slots, forwards or backwards."""


@dataclass(frozen=True)
class DayCurves:
    """The cumulative base curves of a day: from midnight to each slot, by curve. The last one is that of heat."""

    day: LocalDay
    curves: Floats
    recent: dict[float, tuple[Floats, Floats]] = field(default_factory=dict)

    def since_midnight(self, time: float) -> tuple[Floats, Floats]:
        """Return the shares of the day's energy that are used by a time of the day, in seconds.

        The first result is for energy that follows a curve, by :func:`curve_index`. The second one is for energy that
        cycles, by :func:`cycling_index`. The last two times are cached: all batches of an interval use the same ones.
        """
        known = self.recent.get(time)
        if known is None:
            steady = _at(self.curves, time, self.day) - _at(self.curves, 0, self.day)
            cycles = _cycles(time / self.day.seconds) - _cycles(0)
            known = (steady.ravel(), cycles.ravel())
            for old in list(self.recent)[:-1]:
                self.recent.pop(old, None)
            self.recent[time] = known
        return known

    def lowest_power(self) -> Floats:
        """Return the smallest share of the day's energy that is used in one second, by curve, without heat."""
        curves = self.curves[:-1]
        return np.asarray(np.diff(curves, axis=1).min(axis=1) * curves.shape[1] / self.day.seconds)


def day_curves(day: LocalDay) -> DayCurves:
    """Return the curves of a local day."""
    curves = [base_curves.cumulative_of_day(day), base_curves.heat_of_day(day)]
    return DayCurves(day, np.concatenate(curves))


def curve_index(customers: Customers) -> Indices:
    """Return each meter's index in the first result of :meth:`DayCurves.since_midnight`."""
    return customers.curve * _SHIFTS + customers.shift


def heat_index(customers: Customers) -> Indices:
    """Return the index of each meter's heat pump in the first result of :meth:`DayCurves.since_midnight`."""
    return len(base_curves.CURVES) * _SHIFTS + customers.shift


def cycling_index(customers: Customers) -> Indices:
    """Return each meter's index in the second result of :meth:`DayCurves.since_midnight`."""
    phases = (customers.cycle_phase * _PHASES).astype(np.int64)
    return (customers.cycles - _CYCLES) * _PHASES + phases


def _at(curves: Floats, time: float, day: LocalDay) -> Floats:
    """Return the cumulative values of curves at a time, by curve and shift; shifted curves wrap around at midnight."""
    slots = curves.shape[1] - 1
    position = time / day.seconds * slots - (np.arange(_SHIFTS) - _SHIFTS // 2)
    turns = np.floor(position / slots)
    within = position - turns * slots
    slot = np.minimum(within.astype(np.int64), slots - 1)
    left = curves[:, slot]
    return np.asarray(turns + left + (curves[:, slot + 1] - left) * (within - slot))


def _cycles(share: float) -> Floats:
    """Return the share of a day's cycling energy that is used after a share of the day, by cycles and phase."""
    cycles = np.arange(_CYCLES, 2 * _CYCLES)[:, np.newaxis]
    position = share * cycles + np.arange(_PHASES) / _PHASES
    whole = np.floor(position)
    return np.asarray((whole + np.minimum((position - whole) / _DUTY, 1)) / cycles)
