"""Generation of readings: an interval compared with a Python loop, a day in the repository with Polars' own writer."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from benchmarks.ratio import Figure, Ratio, compare
from readings.ingest.backfill import backfill
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

TIME = datetime(2024, 5, 1, tzinfo=UTC)
LAST = TIME + timedelta(hours=23, minutes=55)
READINGS = 14_400_000


def measure(folder: Path) -> Iterator[Ratio | Figure]:
    """Yield the ratio of one interval of 50,000 meters, and the ratio and the rate of a day of them."""
    fleet = Fleet()
    readings_for(fleet, TIME)
    meters = list(zip(fleet.meters.device_id, fleet.meters.load.tolist(), strict=True))
    yield compare(
        "an interval of 50,000 meters",
        "a loop over the meters",
        30,
        lambda: readings_for(fleet, TIME),
        lambda: _reference_loop(fleet, meters),
        rounds=5,
        ours_per_round=10,
    )
    mixed = Fleet(profile="mixed")
    yield compare(
        "six hours of 50,000 meters with the profile mixed",
        "the profile uniform",
        0.5,
        lambda: _generate(mixed, 72),
        lambda: _generate(fleet, 72),
        rounds=5,
    )
    yield compare(
        "backfill of six hours with the profile mixed",
        "the profile uniform",
        0.5,
        lambda: _backfill(mixed, folder / "mixed", 72),
        lambda: _backfill(fleet, folder / "uniform", 72),
        rounds=3,
        before_round=lambda: _delete(folder / "mixed", folder / "uniform"),
    )
    yield from _backfill_of_a_day(fleet, folder)


def _generate(fleet: Fleet, intervals: int) -> None:
    for number in range(intervals):
        readings_for(fleet, TIME + number * fleet.interval)


def _backfill(fleet: Fleet, table: Path, intervals: int) -> int:
    """Write intervals into a new table. Return the number of readings."""
    assert not table.exists()
    last = TIME + (intervals - 1) * fleet.interval
    writes = backfill(fleet, DeltaRepository(str(table)), TIME, last, datetime.now(UTC))
    return sum(write.new for write in writes)


def _delete(*paths: Path) -> None:
    """Delete what the last round wrote."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _backfill_of_a_day(fleet: Fleet, folder: Path) -> Iterator[Ratio | Figure]:
    """Compare a backfill, from the fleet to the last commit, with one write of the same readings from memory."""
    in_memory = pl.concat([readings_for(fleet, time) for time in fleet.intervals(TIME, LAST)])
    table, peer_file = folder / "backfill", folder / "peer.parquet"

    def ours() -> None:
        assert _backfill(fleet, table, 288) == READINGS

    def theirs() -> None:
        in_memory.write_parquet(peer_file, compression="zstd", compression_level=1)

    ratio = compare(
        "backfill of a day into Delta",
        "Polars write_parquet from memory",
        0.5,
        ours,
        theirs,
        rounds=3,
        before_round=lambda: _delete(table, peer_file),
    )
    yield ratio
    rate = READINGS / ratio.ours_seconds / 1e6
    yield Figure(ratio.what, rate, "M readings/s", 2, limit_is_maximum=False)


def _reference_loop(fleet: Fleet, meters: list[tuple[str, int]]) -> list[dict[str, object]]:
    """Return an interval by the reference's formulas. Ids and loads are known, as those of headend's fleet are."""
    readings: list[dict[str, object]] = []
    for device_id, load in meters:
        pf = random.uniform(0.8, 0.99)
        kw = load * random.uniform(0, 1)
        kva = kw / pf
        vltg = random.uniform(0.9 * fleet.voltage, 1.1 * fleet.voltage) / 1000
        readings.append(
            {
                "time": TIME,
                "arrival_time": TIME,
                "device_id": device_id,
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
