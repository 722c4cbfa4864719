"""The energy that meters import until any time of a local day.

It has a closed form: the energy until midnight, plus the share of the day's energy that has been used by then. The
energy until midnight is that of the base curve plus a random part that depends only on the meter and the day. So the
energy of a day is random, but needs no sum over earlier days, and a year has the energy that follows from the meter's
class and habits.

The energy of a day has five parts: what is always on, appliances, what cycles, heat pumps, and cars.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from readings.simulation import base_curves
from readings.simulation.appliances import Appliances, appliances_of_day
from readings.simulation.car_charging import CarCharging, car_charging
from readings.simulation.customers import Customers, Indices, first_registers
from readings.simulation.day_curves import DayCurves, curve_index, cycling_index, heat_index
from readings.simulation.local_calendar import LocalDay
from readings.simulation.random_numbers import Bits, Floats, streams_at_number, uniform
from readings.simulation.weather import Weather, rather_extreme, value_noise

_DAY, _SEASON = 40, 41
"""The channels of random numbers for the variation from day to day, and over two weeks."""
_SEASON_DAYS = 16
_HEAT_CYCLING = 0.5
"""The share of a heat pump's energy that cycles. The rest follows the curve of heat."""
_RIPPLE, _RIPPLE_SECONDS, _RIPPLE_SHARE = 1000, 300, 0.5
"""The channel of random numbers, the seconds between knots, and the highest variation relative to the lowest power."""


@dataclass(frozen=True)
class Ripple:
    """Random variation of what is always on. It is 0 at both midnights, and changes linearly between its knots.

    ``energy`` is the highest variation of each meter in kWh, and ``seconds`` the length of the day.
    """

    streams: Bits
    energy: Floats
    seconds: int
    recent: dict[int, Floats] = field(default_factory=dict)
    """The last two knots, if intervals are shorter than the time between knots."""

    def at(self, time: float) -> Floats | float:
        """Return the variation of each meter in kWh at a time of the day, in seconds."""
        knot, rest = divmod(time, _RIPPLE_SECONDS)
        left = self._knot(int(knot))
        if not rest:
            return left
        return left + (self._knot(int(knot) + 1) - left) * (rest / _RIPPLE_SECONDS)

    def _knot(self, knot: int) -> Floats | float:
        if not 0 < knot < self.seconds // _RIPPLE_SECONDS:
            return 0.0
        known = self.recent.get(knot)
        if known is None:
            known = self.energy * uniform(self.streams, _RIPPLE + knot, 0, 1)
            for old in list(self.recent)[:-1]:
                self.recent.pop(old, None)
            self.recent[knot] = known
        return known


@dataclass(frozen=True)
class DayEnergy:
    """The imported energy of a batch of meters on a local day. Energies are in kWh, times in seconds after midnight.

    ``before`` is the register when the day begins. ``steady``, ``cycling``, ``heat``, ``appliances`` and ``charging``
    are the parts of the day's energy. ``heated`` and ``cars`` are the indices of meters with a heat pump or a car.
    """

    curves: DayCurves
    before: Floats
    steady: Floats
    steady_index: Indices
    cycling: Floats
    cycling_index: Indices
    appliances: Appliances
    ripple: Ripple
    heated: Indices
    heat: Floats
    heat_index: Indices
    cars: Indices
    charging: CarCharging

    def imported_until(self, time: float) -> Floats:
        """Return the import register of each meter at a time of the day, not rounded and without roll-over."""
        steady, cycles = self.curves.since_midnight(time)
        energy = steady[self.steady_index]
        energy *= self.steady
        cycled = cycles[self.cycling_index]
        if len(self.heated):
            shares = (1 - _HEAT_CYCLING) * steady[self.heat_index]
            energy[self.heated] += self.heat * (shares + _HEAT_CYCLING * cycled[self.heated])
        cycled *= self.cycling
        energy += cycled
        energy += self.appliances.until(time)
        energy += self.ripple.at(time)
        if len(self.cars):
            energy[self.cars] += self.charging.between(0, time)
        energy += self.before
        return energy


def day_energy(customers: Customers, curves: DayCurves, weather: Weather) -> DayEnergy:
    """Return the energy of customers on the local day of ``curves``."""
    day = curves.day
    number = base_curves.day_number(day.date)
    at_day = streams_at_number(customers.streams, number)
    before, energy = _energy_of_day(customers, day, at_day)
    steady, cycling, in_appliances = _parts(customers, energy)
    heated = np.flatnonzero(customers.heat_energy)
    heat_before, heat = (
        customers.heat_energy[heated] * share[customers.neighbourhood[heated]]
        for share in (weather.heat_before, weather.heat)
    )
    cars = np.flatnonzero(customers.car_energy)
    charging = car_charging(customers, cars, day, number)
    before += first_registers(customers.streams)
    before[heated] += heat_before
    before[cars] += charging.before
    ripple = _RIPPLE_SHARE * _RIPPLE_SECONDS * curves.lowest_power()[customers.curve] * steady
    return DayEnergy(
        curves=curves,
        before=before,
        steady=steady,
        steady_index=curve_index(customers),
        cycling=cycling,
        cycling_index=cycling_index(customers),
        appliances=appliances_of_day(customers, day, curves.curves[:-1], at_day, in_appliances),
        ripple=Ripple(at_day, ripple, day.seconds),
        heated=heated,
        heat=heat,
        heat_index=heat_index(customers)[heated],
        cars=cars,
        charging=charging,
    )


def _parts(customers: Customers, energy: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the energy of what is always on, of what cycles, and of appliances."""
    in_appliances = energy * customers.of_class("appliances")
    cycling = energy * customers.of_class("cycling")
    return energy - in_appliances - cycling, cycling, in_appliances


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
