"""The profile ``mixed``: customers with days, weeks, seasons and weather.

A reading is for the interval that ends at its time. Its active power ``kw`` is the mean of the interval: imported minus
exported power. It is negative while a meter exports more than it imports, as solar plants do at noon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache

import numpy as np

from readings.instants import to_micros
from readings.simulation import base_curves
from readings.simulation.customers import Customers, customers_of, neighbourhoods
from readings.simulation.day_energy import DayEnergy, day_energy
from readings.simulation.fleet import Fleet, Meters
from readings.simulation.local_calendar import LocalDay, local_date, local_day
from readings.simulation.random_numbers import Bits, Floats, halves
from readings.simulation.weather import Weather, weather_of_day

_NOISE = 10
_NO_LOAD_VOLTAGE, _FEEDER_DROP, _OWN_DROP, _VOLTAGE_NOISE = 1.012, 0.045, 0.015, 0.006
"""Parts of the nominal voltage. The drops of the feeder and of the meter's own load are those at the highest load."""
_POWER_FACTOR_RISE, _POWER_FACTOR_NOISE, _HIGHEST_POWER_FACTOR = 0.04, 0.02, 0.999


@dataclass(frozen=True)
class FleetDay:
    """A fleet on a local day. The energies of a batch are computed when they are first needed."""

    fleet: Fleet
    day: LocalDay
    weather: Weather
    batches: dict[int, tuple[Customers, DayEnergy]] = field(default_factory=dict, compare=False)

    def energies(self, meters: Meters) -> tuple[Customers, DayEnergy]:
        """Return meters of the fleet and their energy."""
        customers = customers_of(self.fleet, meters)
        return customers, day_energy(customers, self.day, self.weather)

    def batch(self, start: int) -> tuple[Customers, DayEnergy]:
        """Return a batch of the fleet, which begins at an index, and its energy."""
        if start not in self.batches:
            self.batches[start] = self.energies(
                self.fleet.meters.slice(start, self.fleet.devices_per_batch)
            )
        return self.batches[start]


def fleet_day_at(fleet: Fleet, seconds: float) -> FleetDay:
    """Return a fleet on the local day of an instant, in seconds since 1970."""
    return _fleet_day(fleet, local_date(fleet.town.timezone, seconds))


@lru_cache(maxsize=1)
def _fleet_day(fleet: Fleet, day: date) -> FleetDay:
    """Return a fleet on a local day. Only one day is cached: 50,000 meters take 20 MB, and a backfill goes forward."""
    local = local_day(fleet.town.timezone, day)
    weather = weather_of_day(fleet.seed, fleet.town.latitude, local, neighbourhoods(fleet))
    return FleetDay(fleet, local, weather)


def mixed_profile(fleet: Fleet, start: int, time: datetime, streams: Bits) -> dict[str, Floats]:
    """Return the columns crrnt (A), pf, kva (kVA), kw (kW) and vltg (kV) of one interval of a batch.

    The batch begins at the index ``start``. Each column has one value per meter, rounded to 3 decimals.

    - The voltage falls with the typical load of the neighbourhood and with the meter's own load. Export raises it.
    - The power factor depends on the customer class and rises with the load.
    - kva = abs(kw) / pf and crrnt = kva / vltg, as for the profile ``uniform``.
    """
    end = to_micros(time) // 1_000_000
    seconds = fleet.interval_minutes * 60
    hours = seconds / 3600
    kw: Floats | None = None
    for fleet_day, first, last in _days_between(fleet, end - seconds, end):
        customers, energy = fleet_day.batch(start)
        part = energy.imported_between(first, last)
        part[energy.solar] -= energy.exported_between(first, last)
        kw = part if kw is None else kw + part
    assert kw is not None
    kw /= hours
    # A meter without contracted load has no energy either.
    share = kw / np.maximum(customers.load, 1e-9)
    noise, more_noise = halves(streams, _NOISE)
    typical = _typical_load(fleet_day.day, (first + last) / 2)
    vltg = customers.feeder * (-_FEEDER_DROP * typical)
    vltg -= _OWN_DROP * share
    noise *= _VOLTAGE_NOISE
    vltg += noise
    vltg += _NO_LOAD_VOLTAGE
    vltg *= fleet.voltage / 1000
    np.abs(share, out=share)
    share *= _POWER_FACTOR_RISE
    more_noise *= _POWER_FACTOR_NOISE
    pf = customers.power_factor + share
    pf += more_noise
    np.minimum(pf, _HIGHEST_POWER_FACTOR, out=pf)
    kva = np.abs(kw) / pf
    columns = {"crrnt": kva / vltg, "pf": pf, "kva": kva, "kw": kw, "vltg": vltg}
    return {name: np.round(values, 3) for name, values in columns.items()}


def _days_between(
    fleet: Fleet, start: float, end: float
) -> Iterator[tuple[FleetDay, float, float]]:
    """Yield the local days from ``start`` to ``end``, and for each the part of the time in seconds after midnight."""
    while start < end:
        fleet_day = fleet_day_at(fleet, start)
        day = fleet_day.day
        until = min(end, day.start + day.seconds)
        yield fleet_day, start - day.start, until - day.start
        start = until


def _typical_load(day: LocalDay, time: float) -> float:
    """Return the load of households at a time, relative to the highest of the year."""
    slot = min(int(time / day.seconds * len(day.hours)), len(day.hours) - 1)
    return _typical_hours(day.date)[int(day.hours[slot])]


@lru_cache(maxsize=4)
def _typical_hours(day: date) -> tuple[float, ...]:
    hours = base_curves.hours_of("h25", day) * base_curves.dynamic_factor(day) / _HIGHEST_HOUR
    return tuple(hours.tolist())


_HIGHEST_HOUR = 250.0
"""The highest hour of H25 in kWh for 1,000,000 kWh a year."""
