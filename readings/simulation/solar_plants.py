"""The energy that solar plants export on a local day."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from readings.simulation.customers import Customers, Indices
from readings.simulation.local_calendar import LocalDay
from readings.simulation.random_numbers import Floats
from readings.simulation.weather import Weather

_SMALLEST_ENERGY = 2.0**-20
"""Energies until midnight are multiples of this, in kWh, so that sums of them are exact."""


@dataclass(frozen=True)
class SolarPlants:
    """The solar plants of a batch of meters on a local day: one value for each plant. Energies are in kWh.

    ``meters`` are the indices of their meters in the batch. ``before`` is the energy exported from 2020 until the day
    begins, and ``exported`` is that of the day.
    """

    day: LocalDay
    weather: Weather
    meters: Indices
    neighbourhood: Indices
    skew: Floats
    before: Floats
    exported: Floats

    def exported_until(self, time: float) -> Floats:
        """Return the energy that was exported from 2020 until a time of the day, in seconds after midnight."""
        slots = time / self.day.seconds * len(self.day.hours)
        return self.before + self.exported * (self._sunshine(slots) / self._sunshine_of_day)

    @cached_property
    def _sunshine_of_day(self) -> Floats:
        return self._sunshine(len(self.day.hours))

    def _sunshine(self, slots: float) -> Floats:
        """Return the sunshine on each roof from midnight until a number of the day's slots has passed.

        ``skew`` is where a roof faces: a little to the east or west.
        """
        sunshine = self.weather.sunshine.until(slots)[self.neighbourhood]
        skewed = self.weather.skewed_sunshine.until(slots)[self.neighbourhood]
        return sunshine + self.skew * skewed


def solar_plants(customers: Customers, day: LocalDay, weather: Weather) -> SolarPlants:
    """Return the solar plants of customers on a local day."""
    meters = np.flatnonzero(customers.export_energy)
    neighbourhood = customers.neighbourhood[meters]
    before, after = (
        _exact(customers.export_energy[meters] * energy[neighbourhood])
        for energy in (weather.sun_before, weather.sun_after)
    )
    return SolarPlants(
        day, weather, meters, neighbourhood, customers.skew[meters], before, after - before
    )


def _exact(energy: Floats) -> Floats:
    return np.asarray(np.round(energy / _SMALLEST_ENERGY) * _SMALLEST_ENERGY)
