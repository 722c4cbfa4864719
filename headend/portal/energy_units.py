"""Energy as text in kWh, MWh or GWh."""

from __future__ import annotations

from headend.portal.number_text import with_unit

_UNITS = (("GWh", 1e6), ("MWh", 1e3))
_LARGE = 10
"""Energy is written in MWh from 10 MWh on, and in GWh from 10 GWh on."""


def unit_of_energy(largest: float) -> tuple[str, float]:
    """Return a unit for energies up to ``largest`` kWh, and its size in kWh."""
    for unit, kwh in _UNITS:
        if abs(largest) >= _LARGE * kwh:
            return unit, kwh
    return "kWh", 1.0


def energy_as_text(kwh: float) -> str:
    """Return an energy in kWh as text, such as ``8,340 kWh`` or ``56.7 MWh``."""
    unit, size = unit_of_energy(kwh)
    return with_unit(kwh / size, unit)
