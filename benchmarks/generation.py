"""Generation of readings, compared with a Python loop over the meters as in the reference's generator."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.ratio import Ratio, compare
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

TARGET = 30
TIME = datetime(2024, 5, 1, tzinfo=UTC)


def measure(_folder: Path) -> Iterator[Ratio]:
    """Yield the ratio for one interval of 50,000 meters."""
    fleet = Fleet()
    readings_for(fleet, TIME)
    yield compare(
        "an interval of 50,000 meters",
        "a loop over the meters",
        TARGET,
        lambda: readings_for(fleet, TIME),
        lambda: _reference_loop(fleet),
        rounds=3,
        ours_per_round=10,
    )


def _reference_loop(fleet: Fleet) -> list[dict[str, object]]:
    """Return an interval by the reference's formulas. As in the reference, ids and loads are computed for each batch."""
    readings: list[dict[str, object]] = []
    for number in range(1, fleet.devices + 1):
        load = int(random.Random(number).uniform(fleet.minimum_load, fleet.maximum_load))
        pf = random.uniform(0.8, 0.99)
        kw = load * random.uniform(0, 1)
        kva = kw / pf
        vltg = random.uniform(0.9 * fleet.voltage, 1.1 * fleet.voltage) / 1000
        readings.append(
            {
                "time": TIME,
                "arrival_time": TIME,
                "device_id": str(uuid.uuid3(uuid.NAMESPACE_OID, str(number))),
                "measure_name": "readings",
                "load": load,
                "crrnt": round(kva / vltg, 3),
                "pf": round(pf, 3),
                "kva": round(kva, 3),
                "kw": round(kw, 3),
                "vltg": round(vltg, 3),
            }
        )
    return readings
