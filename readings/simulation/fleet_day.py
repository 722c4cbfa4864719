"""A simulated fleet on a local day."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from readings.simulation.customers import Customers, customers_of, neighbourhoods
from readings.simulation.day_curves import DayCurves, day_curves
from readings.simulation.day_energy import DayEnergy, day_energy
from readings.simulation.fleet import Fleet
from readings.simulation.local_calendar import LocalDay, local_date, local_day
from readings.simulation.solar_plants import SolarPlants, solar_plants
from readings.simulation.weather import Weather, weather_of_day


@dataclass(frozen=True)
class BatchDay:
    """A batch of meters on a local day: who they are, what they import, and what they export."""

    customers: Customers
    energy: DayEnergy
    solar: SolarPlants


@dataclass(frozen=True)
class FleetDay:
    """A fleet on a local day. The energies of a batch are computed when they are first needed."""

    fleet: Fleet
    day: LocalDay
    curves: DayCurves
    weather: Weather
    batches: dict[int, BatchDay] = field(default_factory=dict, compare=False)

    def batch(self, start: int) -> BatchDay:
        """Return a batch of the fleet, which begins at the index ``start``."""
        known = self.batches.get(start)
        if known is None:
            fleet = self.fleet
            customers = customers_of(fleet, fleet.meters.slice(start, fleet.devices_per_batch))
            energy = day_energy(customers, self.curves, self.weather)
            known = BatchDay(customers, energy, solar_plants(customers, self.day, self.weather))
            self.batches[start] = known
        return known


def fleet_day_at(fleet: Fleet, seconds: float) -> FleetDay:
    """Return a fleet on the local day of an instant, in seconds since 1970."""
    return _fleet_day(fleet, local_date(fleet.town.timezone, seconds))


@lru_cache(maxsize=1)
def _fleet_day(fleet: Fleet, day: date) -> FleetDay:
    """Return a fleet on a local day. Only one day is cached: 50,000 meters take 20 MB, and a backfill goes forward."""
    local = local_day(fleet.town.timezone, day)
    weather = weather_of_day(fleet.seed, fleet.town.latitude, local, neighbourhoods(fleet))
    return FleetDay(fleet, local, day_curves(local), weather)
