"""Customer classes, and the habits of each meter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from readings.simulation import base_curves, sun
from readings.simulation.fleet import Fleet, Meters
from readings.simulation.random_numbers import Bits, Floats, meter_streams, thirds, uniform
from readings.simulation.town import CLASSES, parse_shares

Indices = npt.NDArray[np.int64]

METERS_PER_NEIGHBOURHOOD = 120
"""Meters with adjacent numbers share a transformer and the weather."""
_CLASS, _HABITS, _MORE_HABITS, _SPECIAL, _REGISTERS, _VARIATION = range(20, 26)
"""Channels of random numbers."""
_BATTERY_SHARE = 0.3
"""The share of customers with a solar plant that also have a battery."""
_EXPORTED, _EXPORTED_WITH_BATTERY = 0.7, 0.45
"""The share of its energy that a solar plant exports."""


@dataclass(frozen=True)
class CustomerClass:
    """What the meters of a class have in common.

    - ``curve``: the base curve.
    - ``hours``: energy of a year in kWh for each kW of contracted load, without heat pump and car.
    - ``spread``: how much the energy differs between the meters: 1 for households.
    - ``appliances``, ``cycling``: shares of the energy in appliances that are switched on and off, and in
      refrigerators and compressors that cycle. The rest is always on and follows the base curve.
    - ``shortest``, ``longest``: for how many minutes an appliance is on.
    - ``day_variation``, ``season_variation``: how much the energy varies from day to day, and over two weeks. A meter
      has up to 1.4 times the day variation. Together they stay below 1: the energy of a day is positive.
    - ``power_factor``: the power factor at low load.
    - ``heat_hours``, ``car_hours``: energy of a year in kWh for each kW of contracted load.
    - ``peak_share``: peak power of the solar plant for each kW of contracted load.
    """

    curve: int
    hours: float
    spread: float
    appliances: float
    cycling: float
    shortest: float
    longest: float
    day_variation: float
    season_variation: float
    power_factor: float
    heat_hours: float = 0
    car_hours: float = 0
    peak_share: float = 0


CUSTOMER_CLASSES = {
    "household": CustomerClass(base_curves.H25, 260, 1, 0.55, 0.12, 8, 75, 0.55, 0.2, 0.945),
    "household_heat_pump": CustomerClass(
        base_curves.H25, 290, 1, 0.5, 0.12, 8, 75, 0.55, 0.2, 0.92, heat_hours=375
    ),
    "household_electric_car": CustomerClass(
        base_curves.H25, 310, 1, 0.55, 0.12, 8, 75, 0.55, 0.2, 0.955, car_hours=190
    ),
    "household_pv": CustomerClass(
        base_curves.P25, 225, 1, 0.5, 0.12, 8, 75, 0.5, 0.2, 0.95, peak_share=0.6
    ),
    "shop": CustomerClass(base_curves.G25, 1100, 0.4, 0.2, 0.2, 20, 120, 0.25, 0.12, 0.9),
    "office": CustomerClass(base_curves.G25, 800, 0.4, 0.2, 0.05, 20, 90, 0.25, 0.12, 0.915),
    "farm": CustomerClass(base_curves.L25, 1000, 0.4, 0.35, 0.1, 15, 60, 0.3, 0.15, 0.87),
    "small_industry": CustomerClass(base_curves.G25, 1100, 0.4, 0.3, 0.1, 15, 120, 0.3, 0.12, 0.84),
}


@dataclass(frozen=True)
class Customers:
    """The habits of each meter of a batch, as columns of one length. Energies are in kWh a year.

    - ``streams``: its random numbers.
    - ``class_index``, ``curve``, ``neighbourhood``: the indices of its class, its base curve and its neighbourhood.
    - ``load``: the contracted load in kW.
    - ``shift``: 0 to 4; 2 follows the base curve, the others are up to two slots earlier or later.
    - ``cycles``, ``cycle_phase``: how often a day its refrigerator or compressor runs, and the phase, from 0 to 1.
    - ``feeder``: its place on the feeder, from 0 (start) to 1 (end).
    - ``car_sessions``: charging sessions a day.
    - ``skew``: where the roof faces, from -0.5 to 0.5; see :class:`Weather`.
    """

    streams: Bits
    class_index: Indices
    curve: Indices
    neighbourhood: Indices
    load: Floats
    energy: Floats
    shift: Indices
    cycles: Indices
    cycle_phase: Floats
    day_variation: Floats
    feeder: Floats
    power_factor: Floats
    heat_energy: Floats
    car_energy: Floats
    car_sessions: Floats
    export_energy: Floats
    skew: Floats

    def of_class(self, name: str) -> Floats:
        """Return a parameter of each meter's class."""
        return _parameter(name)[self.class_index]


def neighbourhoods(fleet: Fleet) -> int:
    """Return the number of neighbourhoods of a fleet."""
    return fleet.devices // METERS_PER_NEIGHBOURHOOD + 1


def customer_classes(fleet: Fleet, device_ids: Sequence[str] | pl.Series) -> list[str | None]:
    """Return the customer class of each meter, or None for a meter that is not in the fleet.

    Meters of the profile ``uniform`` have no class. The first call computes the device ids of the whole fleet: about
    10 microseconds for each meter. After that, a page of 1,000 ids takes a millisecond.
    """
    if fleet.profile != "mixed":
        return [None] * len(device_ids)
    meters = fleet.meters
    requested = pl.Series(device_ids, dtype=pl.String)
    places = np.minimum(meters.device_id.search_sorted(requested).to_numpy(), len(meters) - 1)
    is_known = (meters.device_id.gather(places) == requested).to_list()
    indices = _class_indices(fleet, meter_streams(fleet.seed, meters.number[places])).tolist()
    return [
        CLASSES[index] if known else None for index, known in zip(indices, is_known, strict=True)
    ]


def customers_of(fleet: Fleet, meters: Meters) -> Customers:
    """Return the habits of meters. They depend on the seed and the number of a meter."""
    streams = meter_streams(fleet.seed, meters.number)
    kind = _class_indices(fleet, streams)
    size, shift, phase = thirds(streams, _HABITS)
    feeder, cycles, factor = thirds(streams, _MORE_HABITS)
    battery, sessions, skew = thirds(streams, _SPECIAL)
    variation = uniform(streams, _VARIATION, 0, 1)
    load = meters.load.astype(np.float64)
    spread = _parameter("spread")[kind]
    # The mean of the distribution is 1. A few meters use more than twice the mean.
    habit = 1 + spread * (0.4 + 0.5 * size + 1.4 * size**3 - 1)
    has_pv = _parameter("peak_share")[kind] > 0
    stored = has_pv & (battery < _BATTERY_SHARE)
    exported = np.where(stored, _EXPORTED_WITH_BATTERY, _EXPORTED)
    hours = np.where(stored, 0.5, 1.0) * _parameter("hours")[kind]
    plant = load * _parameter("peak_share")[kind] * sun.full_load_hours(fleet.town.latitude)
    return Customers(
        streams=streams,
        class_index=kind,
        curve=np.where(stored, base_curves.S25, _parameter("curve")[kind].astype(np.int64)),
        neighbourhood=(meters.number.astype(np.int64) - 1) // METERS_PER_NEIGHBOURHOOD,
        load=load,
        energy=load * hours * habit,
        shift=(shift * 5).astype(np.int64),
        cycles=20 + (cycles * 20).astype(np.int64),
        cycle_phase=phase,
        day_variation=_parameter("day_variation")[kind] * (0.35 + 1.05 * variation),
        feeder=feeder,
        power_factor=_parameter("power_factor")[kind] + 0.03 * (factor - 0.8),
        heat_energy=load * _parameter("heat_hours")[kind] * (0.7 + 0.6 * size),
        car_energy=load * _parameter("car_hours")[kind] * (0.5 + size),
        car_sessions=0.3 + 0.4 * sessions,
        export_energy=plant * exported * (0.85 + 0.3 * size),
        skew=skew - 0.5,
    )


def first_registers(streams: Bits) -> Floats:
    """Return the import registers of 1 January 2020 in kWh. They differ, as if meters differed in age."""
    return uniform(streams, _REGISTERS, 0, 60_000)


def _class_indices(fleet: Fleet, streams: Bits) -> Indices:
    shares = parse_shares(fleet.town.shares)
    bounds = np.cumsum([shares.get(name, 0) for name in CLASSES])
    drawn = uniform(streams, _CLASS, 0, 100)
    # A class without meters has a bound that equals the one before. The last bound may be 99.999….
    last = max(index for index, name in enumerate(CLASSES) if shares.get(name, 0))
    return np.minimum(np.searchsorted(bounds, drawn, side="right"), last)


@cache
def _parameter(name: str) -> Floats:
    """Return a parameter of all classes."""
    return np.array([getattr(CUSTOMER_CLASSES[each], name) for each in CLASSES], dtype=np.float64)
