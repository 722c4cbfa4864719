"""The energy that solar plants export on a local day."""

from __future__ import annotations

from dataclasses import dataclass

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
        """Return the energy that was exported from 2020 until a time of the day, in seconds after midnight.

        Roofs face a little to the east or west.
        """
        slots = len(self.day.hours)
        position = time / self.day.seconds * slots
        by_now, all_day = (
            self.weather.sunshine.until(each)[self.neighbourhood]
            + self.skew * self.weather.skewed_sunshine.until(each)[self.neighbourhood]
            for each in (position, slots)
        )
        return self.before + self.exported * (by_now / all_day)


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
