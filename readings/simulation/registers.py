"""The registers of simulated meters: energy that was imported and exported, at any instant.

A register counts whole Wh and rolls over after 999,999.999 kWh. It is computed for an instant, without earlier
readings. The energy of an interval is the difference of two registers, so both agree to the last digit.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from readings.instants import to_micros
from readings.simulation.customers import first_registers
from readings.simulation.fleet import Fleet
from readings.simulation.mixed_profile import fleet_day_at

_ROLLOVER = 1_000_000_000
"""A register has nine digits, in Wh."""
WattHours = npt.NDArray[np.int64]


def registers(fleet: Fleet, time: datetime) -> pl.DataFrame:
    """Return the registers of all meters at an instant.

    The columns are ``device_id``, ``import_kwh`` and ``export_kwh``, with 3 decimals; sorted by device id.
    Raises ``ValueError`` for the profile ``uniform``, whose meters have no registers.
    """
    imported, exported = _watt_hours(fleet, time)
    return pl.DataFrame(
        {
            "device_id": fleet.meters.device_id,
            "import_kwh": imported / 1000,
            "export_kwh": exported / 1000,
        }
    )


def interval_energy(fleet: Fleet, time: datetime) -> pl.DataFrame:
    """Return the energy of the interval that ends at ``time``, with the columns and the order of :func:`registers`."""
    before, after = _watt_hours(fleet, time - fleet.interval), _watt_hours(fleet, time)
    imported, exported = (
        (late - early) % _ROLLOVER / 1000 for early, late in zip(before, after, strict=True)
    )
    return pl.DataFrame(
        {"device_id": fleet.meters.device_id, "import_kwh": imported, "export_kwh": exported}
    )


def _watt_hours(fleet: Fleet, time: datetime) -> tuple[WattHours, WattHours]:
    if fleet.profile != "mixed":
        raise ValueError("profile: only meters of the profile mixed have registers.")
    seconds = to_micros(time) / 1_000_000
    fleet_day = fleet_day_at(fleet, seconds)
    batches = []
    for start in range(0, fleet.devices, fleet.devices_per_batch):
        customers, energy = fleet_day.batch(start)
        counted = energy.registers(seconds - fleet_day.day.start)
        batches.append(
            [
                np.rint((first + total) * 1000).astype(np.int64) % _ROLLOVER
                for first, total in zip(first_registers(customers.streams), counted, strict=True)
            ]
        )
    imported, exported = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return imported, exported
