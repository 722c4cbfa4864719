"""A deployment without clients: its memory, its processor time, and how soon it is ready after a restart.

The fleet is the default one: 50,000 meters report every 5 minutes, and the workers write and count their readings.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from benchmarks.ratio import Figure
from tests.deployment import Deployment

RESTARTS = 3
REST_SECONDS = 60
MOST_MEGABYTES, MOST_PERCENT, MOST_SECONDS = 500, 2, 3
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def measure(folder: Path) -> Iterator[Figure]:
    """Yield the three figures. ``smaps_rollup`` gives memory that processes share to each of them in equal shares."""
    deployment = Deployment(folder / "rest", {"WEB_WORKERS": "2"})
    try:
        deployment.start(shares_set_up=False)
        yield Figure("ready after a restart", _ready_seconds(deployment), "s", MOST_SECONDS)
        # The first messages of beat, and what they import, belong to the start.
        time.sleep(REST_SECONDS)
        before = _processor_seconds(deployment)
        time.sleep(REST_SECONDS)
        busy = (_processor_seconds(deployment) - before) / REST_SECONDS
        yield Figure("memory of a deployment at rest", _megabytes(deployment), "MB", MOST_MEGABYTES)
        yield Figure("processor of a deployment at rest", busy * 100, "% of a core", MOST_PERCENT)
    finally:
        deployment.stop()


def _ready_seconds(deployment: Deployment) -> float:
    """Return the median time from the command until ``/health/ready`` answers 200."""
    durations = []
    for _ in range(RESTARTS):
        deployment.stop()
        started = time.perf_counter()
        deployment.start_without_waiting()
        while not _is_ready(deployment):
            time.sleep(0.02)
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def _is_ready(deployment: Deployment) -> bool:
    url = f"http://localhost:{deployment.http_port}/health/ready"
    try:
        return requests.get(url, timeout=30).ok
    except requests.ConnectionError:
        return False


def _megabytes(deployment: Deployment) -> float:
    total = 0
    for pid in deployment.processes():
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total / 1e6


def _processor_seconds(deployment: Deployment) -> float:
    """Return the processor time of all processes that run now."""
    total = 0
    for pid in deployment.processes():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS_PER_SECOND
