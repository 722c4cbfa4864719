"""Numbers as text, in the one format of all pages. ``charts.js`` and Django's filter ``intcomma`` write the same.

Commas separate thousands. A value has four significant digits, or is a whole number from 1,000 on. Zero has no sign.
"""

from __future__ import annotations

from decimal import Decimal


def number_as_text(value: float) -> str:
    """Return a measured or computed value as text, such as ``0.2203``, ``345.7`` or ``12,340``."""
    # Decimal, because `g` alone writes 1000 for 999.96, and 1e-05 for 0.00001.
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{Decimal(f'{value:z.4g}'):,f}"


def with_unit(value: float, unit: str) -> str:
    """Return a value and its unit, such as ``345.7 kW``. The unit may be empty."""
    return f"{number_as_text(value)} {unit}".strip()
