"""``manage.py load`` of CSV files, compared with the same work in Polars, and its memory for small and large files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from django.conf import settings

from benchmarks.peak_memory import peak_mebibytes
from benchmarks.ratio import Figure, Ratio, compare
from readings import frame
from readings.models import IntervalTotals, Meter
from readings.repositories import open_store
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.deployment import ROOT

FLEET = Fleet(devices=40_000)
START = datetime(2024, 5, 1, tzinfo=UTC)
INTERVALS = 73
READINGS = 2_920_000
MAX_MEBIBYTES = 400


def measure(folder: Path) -> Iterator[Ratio | Figure]:
    """Yield the ratio for a file of 2,920,000 rows, and the peak memory for a quarter and four times as many."""
    file = _write_csv(folder / "readings.csv", INTERVALS)
    peaks: list[float] = []

    def with_polars() -> None:
        # Parsing the dates too takes three times as long.
        rows = pl.read_csv(file).unique(frame.ORDER).sort(frame.ORDER)
        rows.write_parquet(folder / "peer.parquet", compression="zstd", compression_level=1)

    yield compare(
        f"load of {READINGS:,} CSV rows, whole command",
        "Polars read_csv + unique + sort + write_parquet",
        0.7,
        lambda: peaks.append(_load(file)),
        with_polars,
        rounds=3,
    )
    yield _memory(READINGS, max(peaks))
    for intervals in (INTERVALS // 4, INTERVALS * 4):
        file = _write_csv(file, intervals)
        yield _memory(intervals * FLEET.devices, _load(file))


def _memory(rows: int, mebibytes: float) -> Figure:
    return Figure(f"peak memory of a load of {rows:,} rows", mebibytes, "MiB", MAX_MEBIBYTES)


def _write_csv(file: Path, intervals: int) -> Path:
    with file.open("wb") as target:
        for instant in FLEET.intervals(START, START + (intervals - 1) * FLEET.interval):
            texts = frame.with_instants_as_text(readings_for(FLEET, instant))
            texts.write_csv(target, include_header=instant == START)
    return file


def _load(file: Path) -> float:
    """Load the file into an empty repository. Return the command's peak memory in MiB."""
    store = open_store(settings.READINGS_URL)
    store.destroy()
    store.create()
    IntervalTotals.objects.all().delete()
    Meter.objects.all().delete()
    command = [sys.executable, "manage.py", "load", str(file)]
    environment = os.environ | {"HEADEND_ALLOWED_HOSTS": "localhost"}
    peak = 0.0
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        # `resource` reports the memory of this process for its children too. It has held the peer's rows.
        while process.poll() is None:
            peak = max(peak, peak_mebibytes(process.pid))
            time.sleep(0.02)
    assert process.returncode == 0
    return peak
