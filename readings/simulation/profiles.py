"""Profiles: how the values of a meter are drawn. ``uniform_profile`` is the one of the reference's generator."""

from __future__ import annotations

import numpy as np

from readings.simulation.fleet import Fleet, Meters
from readings.simulation.random_numbers import Bits, Floats, uniform

POWER_FACTOR, LOAD_FACTOR, VOLTAGE, LATENESS = range(4)
"""The channels of a meter's random stream. A new profile that needs more numbers adds channels."""


def uniform_profile(fleet: Fleet, meters: Meters, streams: Bits) -> dict[str, Floats]:
    """Return the columns crrnt (A), pf, kva (kVA), kw (kW) and vltg (kV) of one interval.

    Each column has one value per meter, rounded to 3 decimals. ``streams`` are the meters' streams at the time
    of the interval. Formulas of the reference's generator, on unrounded values:

    - pf: uniform in [0.8, 0.99)
    - vltg: uniform within 10 % of the nominal voltage
    - kw = load x uniform [0, 1)
    - kva = kw / pf
    - crrnt = kva / vltg
    """
    pf = uniform(streams, POWER_FACTOR, 0.8, 0.99)
    kw = meters.load * uniform(streams, LOAD_FACTOR, 0.0, 1.0)
    kilovolt = fleet.voltage / 1000
    vltg = uniform(streams, VOLTAGE, 0.9 * kilovolt, 1.1 * kilovolt)
    kva = kw / pf
    columns = {"crrnt": kva / vltg, "pf": pf, "kva": kva, "kw": kw, "vltg": vltg}
    return {name: np.round(values, 3) for name, values in columns.items()}
