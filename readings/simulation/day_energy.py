"""The energy of meters within one local day.

The energy until any instant has a closed form: the energy until midnight, plus the share of the day's energy that has
been used by then. The energy until midnight is that of the base curve plus a random part that depends only on the
meter and the day. So the energy of a day is random, but needs no sum over earlier days, and a year has the energy that
follows from the meter's class and habits.

The energy of a day has five parts: what is always on, appliances, what cycles, heat pumps, and cars.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from readings.simulation import base_curves
from readings.simulation.appliances import Appliances, appliances_of_day
from readings.simulation.car_charging import CarCharging, car_charging
from readings.simulation.customers import Customers, Indices
from readings.simulation.local_calendar import LocalDay
from readings.simulation.random_numbers import Bits, Floats, streams_at_number, uniform
from readings.simulation.weather import Weather, rather_extreme, value_noise

_DAY, _SEASON = 40, 41
_SEASON_DAYS = 16
_DUTY = 0.35
"""The share of the time in which a refrigerator or compressor runs."""
_PHASES = 32
_CYCLES = 20
_SHIFTS = 5
_HEAT_CYCLING = 0.5
_SMALLEST_ENERGY = 2.0**-20
"""Energies until midnight are multiples of this, in kWh, so that sums of them are exact."""
_RIPPLE, _RIPPLE_SECONDS, _RIPPLE_SHARE = 1000, 300, 0.5
"""What is always on varies between knots by at most this share of its lowest power. The first number is the channel."""


@dataclass(frozen=True)
class DayEnergy:
    """The energy of a batch of meters on a local day. Energies are in kWh, times in seconds after midnight."""

    day: LocalDay
    before: Floats
    steady: Floats
    steady_index: Indices
    curves: Floats
    cycling: Floats
    cycling_index: Indices
    appliances: Appliances
    heated: Indices
    heat: Floats
    cars: Indices
    charging: CarCharging
    solar: Indices
    exported_before: Floats
    exported: Floats
    neighbourhood: Indices
    skew: Floats
    sunshine: Floats
    skewed_sunshine: Floats
    streams: Bits
    ripple: Floats
    recent: dict[str, dict[float, Floats]] = field(default_factory=dict)
    """Results for the last times. Most intervals begin where the one before ended."""

    def imported_between(self, start: float, end: float) -> Floats:
        """Return each meter's imported energy between two times of the day."""
        steady = (self._curves_at(end) - self._curves_at(start)).ravel()
        cycles = (self._cycles_at(end) - self._cycles_at(start)).ravel()
        energy = steady[self.steady_index]
        energy *= self.steady
        cycled = cycles[self.cycling_index]
        energy += self.cycling * cycled
        energy += self.appliances.between(start, end)
        energy += self.ripple * (self._ripple_at(end) - self._ripple_at(start))
        if len(self.heated):
            curve = steady[-_SHIFTS:][self.steady_index[self.heated] % _SHIFTS]
            shares = (1 - _HEAT_CYCLING) * curve
            energy[self.heated] += self.heat * (shares + _HEAT_CYCLING * cycled[self.heated])
        if len(self.cars):
            energy[self.cars] += self.charging.between(start, end)
        return energy

    def exported_between(self, start: float, end: float) -> Floats:
        """Return the exported energy of the meters ``solar`` between two times of the day."""
        return self.exported * (self._sun_at(end) - self._sun_at(start))

    def registers(self, time: float) -> tuple[Floats, Floats]:
        """Return the energy that each meter has imported and exported since 2020, at a time of the day."""
        exported = np.zeros(len(self.before))
        exported[self.solar] = self.exported_before + self.exported * self._sun_at(time)
        return self.before + self.imported_between(0, time), exported

    def _curves_at(self, time: float) -> Floats:
        return self._recent("curves", time, lambda: _at(self.curves, time, self.day))

    def _cycles_at(self, time: float) -> Floats:
        return self._recent("cycles", time, lambda: _cycles(time / self.day.seconds))

    def _sun_at(self, time: float) -> Floats:
        return self._recent("sun", time, lambda: self._sun_until(time))

    def _ripple_at(self, time: float) -> Floats | float:
        """Return noise from 0 to 1, which is 0 at both midnights and changes linearly between its knots."""
        knot, rest = divmod(time, _RIPPLE_SECONDS)
        left = self._ripple_knot(int(knot))
        if not rest:
            return left
        return left + (self._ripple_knot(int(knot) + 1) - left) * rest / _RIPPLE_SECONDS

    def _ripple_knot(self, knot: int) -> Floats | float:
        if not 0 < knot < self.day.seconds // _RIPPLE_SECONDS:
            return 0.0
        return self._recent("ripple", knot, lambda: uniform(self.streams, _RIPPLE + knot, 0, 1))

    def _recent(self, kind: str, time: float, compute: Callable[[], Floats]) -> Floats:
        """Return the result for a time from the cache, or compute it. The last two times of each kind are cached."""
        times: dict[float, Floats] = self.recent.setdefault(kind, {})
        known = times.get(time)
        if known is None:
            known = compute()
            for old in list(times)[:-1]:
                times.pop(old, None)
            times[time] = known
        return known

    def _sun_until(self, time: float) -> Floats:
        """Return the share of the day's solar energy until a time. Roofs face a little to the east or west."""
        slots = self.sunshine.shape[1] - 1
        position = min(time / self.day.seconds * slots, slots)
        slot = min(int(position), slots - 1)
        even, skewed = (
            table[:, slot] + (table[:, slot + 1] - table[:, slot]) * (position - slot)
            for table in (self.sunshine, self.skewed_sunshine)
        )
        all_day = 1 + self.skew * self.skewed_sunshine[self.neighbourhood, -1]
        return np.asarray(
            (even[self.neighbourhood] + self.skew * skewed[self.neighbourhood]) / all_day
        )


def day_energy(customers: Customers, day: LocalDay, weather: Weather) -> DayEnergy:
    """Return the energy of customers on a local day."""
    number = base_curves.day_number(day.date)
    at_day = streams_at_number(customers.streams, number)
    before, energy = _energy_of_day(customers, day, at_day)
    in_appliances = customers.of_class("appliances")
    cycling = customers.of_class("cycling")
    curves = base_curves.cumulative_of_day(day)
    heated = np.flatnonzero(customers.heat_energy)
    cars = np.flatnonzero(customers.car_energy)
    solar = np.flatnonzero(customers.export_energy)
    charging = car_charging(customers, cars, day, number)
    before[heated] += (
        customers.heat_energy[heated] * weather.heat_before[customers.neighbourhood[heated]]
    )
    before[cars] += charging.before
    neighbourhood = customers.neighbourhood[solar]
    exported_before, exported_after = (
        _exact(customers.export_energy[solar] * total[neighbourhood])
        for total in (weather.sun_before, weather.sun_after)
    )
    steady = energy * (1 - in_appliances - cycling)
    least = np.diff(curves, axis=1).min(axis=1) * curves.shape[1] / day.seconds
    ripple = _RIPPLE_SHARE * _RIPPLE_SECONDS * least[customers.curve] * steady
    phases = (customers.cycle_phase * _PHASES).astype(np.int64)
    return DayEnergy(
        day=day,
        before=before,
        steady=steady,
        steady_index=customers.curve * _SHIFTS + customers.shift,
        curves=np.concatenate([curves, base_curves.heat_of_day(day)]),
        cycling=energy * cycling,
        cycling_index=(customers.cycles - _CYCLES) * _PHASES + phases,
        appliances=appliances_of_day(customers, day, curves, at_day, energy * in_appliances),
        heated=heated,
        heat=customers.heat_energy[heated] * weather.heat[customers.neighbourhood[heated]],
        cars=cars,
        charging=charging,
        solar=solar,
        exported_before=exported_before,
        exported=exported_after - exported_before,
        neighbourhood=neighbourhood,
        skew=customers.skew[solar],
        sunshine=weather.sunshine,
        skewed_sunshine=weather.skewed_sunshine,
        streams=at_day,
        ripple=ripple,
    )


def _energy_of_day(customers: Customers, day: LocalDay, at_day: Bits) -> tuple[Floats, Floats]:
    """Return the energy until the day begins and that of the day, without heat pumps and cars.

    The random part of the energy until midnight is not negative. From one midnight to the next, it falls by less than
    the energy of the day, so the energy of a day is positive.
    """
    number = base_curves.day_number(day.date)
    previous, today, following = (
        base_curves.share_of_day(day.date + timedelta(days=step)) for step in (-1, 0, 1)
    )
    variation = customers.day_variation
    season = customers.of_class("season_variation") * _SEASON_DAYS
    least = base_curves.shares_of_year(2021).min(axis=1)[customers.curve]
    tomorrow = streams_at_number(customers.streams, number + 1)
    until_start, until_end = (
        variation * smaller[customers.curve] * rather_extreme(uniform(streams, _DAY, 0, 1))
        + season * least * value_noise(customers.streams, _SEASON, (number + step) / _SEASON_DAYS)
        for step, smaller, streams in (
            (0, np.minimum(previous, today), at_day),
            (1, np.minimum(today, following), tomorrow),
        )
    )
    before = base_curves.years_until(day.date)[customers.curve] + until_start
    energy = today[customers.curve] + until_end - until_start
    return customers.energy * before, customers.energy * energy


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


def _exact(energy: Floats) -> Floats:
    return np.asarray(np.round(energy / _SMALLEST_ENERGY) * _SMALLEST_ENERGY)
