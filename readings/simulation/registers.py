"""The registers of simulated meters: energy that was imported and exported, at any instant.

A register counts whole Wh and rolls over after 999,999.999 kWh. It is computed for an instant, without earlier
readings. The energy of an interval is the difference of two registers, so both agree to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np
import polars as pl

from readings.instants import to_micros
from readings.simulation.customers import Customers, Indices
from readings.simulation.fleet import Fleet
from readings.simulation.fleet_day import fleet_day_at
from readings.simulation.random_numbers import Floats

_ROLLOVER = 1_000_000_000.0
"""A register has nine digits, in Wh."""


@dataclass(frozen=True)
class Registers:
    """The registers of a batch of meters at an instant, in seconds since 1970.

    ``imported`` and ``exported`` are in kWh, not rounded. ``imported_wh`` and ``exported_wh`` are whole numbers, and do
    not roll over. The arrays of exported energy have a value for each meter of ``solar``; all others export nothing.
    """

    seconds: float
    customers: Customers
    solar: Indices
    imported: Floats
    exported: Floats
    imported_wh: Floats
    exported_wh: Floats

    def import_kwh(self) -> Floats:
        """Return the import register of each meter in kWh, as the meter shows it."""
        return _as_shown(self.imported_wh)

    def export_kwh(self) -> Floats:
        """Return the export register of each meter in kWh, as the meter shows it."""
        shown = np.zeros(len(self.imported))
        shown[self.solar] = _as_shown(self.exported_wh)
        return shown


def registers_of_batch(fleet: Fleet, start: int, seconds: float) -> Registers:
    """Return the registers of a batch, which begins at the index ``start``, at an instant in seconds since 1970.

    The last result of each batch is cached: most intervals begin where the one before ended.
    """
    recent = _recent(fleet)
    known = recent.get(start)
    if known is None or known.seconds != seconds:
        known = recent[start] = _compute(fleet, start, seconds)
    return known


def registers(fleet: Fleet, time: datetime) -> pl.DataFrame:
    """Return the registers of all meters at an instant.

    The columns are ``device_id``, ``import_kwh`` and ``export_kwh``, with 3 decimals; sorted by device id.
    Raises ``ValueError`` for the profile ``uniform``, whose meters have no registers.
    """
    if not fleet.has_registers:
        raise ValueError("profile: only meters of the profile mixed have registers.")
    seconds = to_micros(time) / 1_000_000
    batches = [
        registers_of_batch(fleet, start, seconds)
        for start in range(0, fleet.devices, fleet.devices_per_batch)
    ]
    return pl.DataFrame(
        {
            "device_id": fleet.meters.device_id,
            "import_kwh": np.concatenate([batch.import_kwh() for batch in batches]),
            "export_kwh": np.concatenate([batch.export_kwh() for batch in batches]),
        }
    )


def _compute(fleet: Fleet, start: int, seconds: float) -> Registers:
    fleet_day = fleet_day_at(fleet, seconds)
    batch = fleet_day.batch(start)
    time = seconds - fleet_day.day.start
    imported = batch.energy.imported_until(time)
    exported = batch.solar.exported_until(time)
    # A float64 holds whole numbers up to 2^53 exactly.
    imported_wh, exported_wh = np.rint(imported * 1000), np.rint(exported * 1000)
    return Registers(
        seconds, batch.customers, batch.solar.meters, imported, exported, imported_wh, exported_wh
    )


@lru_cache(maxsize=1)
def _recent(fleet: Fleet) -> dict[int, Registers]:
    """Return the cache of a fleet's registers, by the index at which a batch begins."""
    return {}


def _as_shown(watt_hours: Floats) -> Floats:
    if len(watt_hours) and (watt_hours.min() < 0 or watt_hours.max() >= _ROLLOVER):
        watt_hours = np.mod(watt_hours, _ROLLOVER)
    return watt_hours / 1000
