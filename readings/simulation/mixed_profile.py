"""The profile ``mixed``: customers with days, weeks, seasons and weather.

A reading is for the interval that ends at its time. Its energy ``kwh`` is imported minus exported energy, and its
active power ``kw`` is the mean of the interval. Both are negative while a meter exports more than it imports, as solar
plants do at noon.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache

import numpy as np

from readings.instants import to_micros
from readings.simulation import base_curves
from readings.simulation.fleet import Fleet
from readings.simulation.local_calendar import local_date, local_day
from readings.simulation.random_numbers import Bits, Floats, halves
from readings.simulation.registers import Registers, registers_of_batch

_NOISE = 10
"""The channel of random numbers for the noise of the voltage and the power factor."""
_NO_LOAD_VOLTAGE, _FEEDER_DROP, _OWN_DROP, _VOLTAGE_NOISE = 1.012, 0.045, 0.015, 0.006
"""Parts of the nominal voltage. The drops of the feeder and of the meter's own load are those at the highest load."""
_POWER_FACTOR_RISE, _POWER_FACTOR_NOISE, _HIGHEST_POWER_FACTOR = 0.04, 0.02, 0.99
_HIGHEST_HOUR = 250.0
"""The highest hour of H25 in kWh for 1,000,000 kWh a year."""


def mixed_profile(fleet: Fleet, start: int, time: datetime, streams: Bits) -> dict[str, Floats]:
    """Return the measures of one interval of a batch, which begins at the index ``start``, in the order of a reading.

    They are crrnt (A), pf, kva (kVA), kw (kW), vltg (kV), kwh, import_kwh and export_kwh. Each has one value per meter,
    with 3 decimals.

    - The voltage falls with the typical load of the neighbourhood and with the meter's own load. Export raises it.
    - The power factor depends on the customer class and rises with the load.
    - kva = kw / pf and crrnt = kva / vltg, as the contract says. So both have the sign of kw.
    - The registers are those at ``time``. kwh is the difference of the registers since the interval began.
    """
    end = to_micros(time) // 1_000_000
    seconds = fleet.interval_minutes * 60
    before, after = (registers_of_batch(fleet, start, at) for at in (end - seconds, end))
    solar, customers = after.solar, after.customers
    kw = after.imported - before.imported
    kw[solar] -= after.exported - before.exported
    kw *= 3600 / seconds
    # A meter without contracted load has no energy either.
    share = kw / np.maximum(customers.load, 1e-9)
    noise, more_noise = halves(streams, _NOISE)
    typical = _typical_load(fleet.town.timezone, end - seconds / 2)
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
    kva = kw / pf
    columns = {"crrnt": kva / vltg, "pf": pf, "kva": kva, "kw": kw, "vltg": vltg}
    # Adding 0 removes the sign of zero: a small negative value is rounded to -0.0.
    return {name: np.round(values, 3) + 0.0 for name, values in columns.items()} | {
        "kwh": _net_energy(before, after),
        "import_kwh": after.import_kwh(),
        "export_kwh": after.export_kwh(),
    }


def _net_energy(before: Registers, after: Registers) -> Floats:
    """Return the imported minus the exported energy between two instants, in kWh."""
    watt_hours = after.imported_wh - before.imported_wh
    watt_hours[after.solar] -= after.exported_wh - before.exported_wh
    return watt_hours / 1000


@lru_cache(maxsize=4)
def _typical_load(timezone: str, seconds: float) -> float:
    """Return the load of households at an instant, relative to the highest of the year."""
    day = local_day(timezone, local_date(timezone, seconds))
    slot = int((seconds - day.start) / day.seconds * len(day.hours))
    return _typical_hours(day.date)[int(day.hours[min(slot, len(day.hours) - 1)])]


@lru_cache(maxsize=4)
def _typical_hours(day: date) -> tuple[float, ...]:
    hours = base_curves.hours_of("h25", day) * base_curves.dynamic_factor(day) / _HIGHEST_HOUR
    return tuple(hours.tolist())
