"""How a meter's values come about. ``uniform`` is the reference's own profile."""

from __future__ import annotations

import numpy as np

from readings.simulation.fleet import Fleet, Meters
from readings.simulation.random_numbers import Bits, Floats, uniform

POWER_FACTOR, LOAD_FACTOR, VOLTAGE, LATENESS = range(4)
"""The channels of a meter's stream."""


def uniform_profile(fleet: Fleet, meters: Meters, streams: Bits) -> dict[str, Floats]:
    """The columns crrnt (A), pf, kva, kw, vltg (kV) of one interval, each rounded to 3 decimals.

    Formulas of the reference's generator: kw = load x factor, kva = kw / pf, crrnt = kva / vltg,
    on the unrounded values.
    """
    pf = uniform(streams, POWER_FACTOR, 0.8, 0.99)
    kw = meters.load * uniform(streams, LOAD_FACTOR, 0.0, 1.0)
    kilovolt = fleet.voltage / 1000
    vltg = uniform(streams, VOLTAGE, 0.9 * kilovolt, 1.1 * kilovolt)
    kva = kw / pf
    columns = {"crrnt": kva / vltg, "pf": pf, "kva": kva, "kw": kw, "vltg": vltg}
    return {name: np.round(values, 3) for name, values in columns.items()}
