"""A worker of a deployment exports files: how soon a small file is complete, and how much memory large ones need."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from benchmarks.peak_memory import peak_mebibytes
from benchmarks.ratio import Figure
from readings.instants import format_instant
from tests.deployment import Deployment

START = datetime(2024, 5, 1, tzinfo=UTC)
METERS = 50_000
INTERVAL = timedelta(minutes=5)
SMALL_FILES = 20
MOST_SECONDS, MOST_MEBIBYTES = 0.1, 350
LARGE_FILES = (60, 288)
"""Intervals of each large file: 3 million and 14.4 million readings."""


def measure(folder: Path) -> Iterator[Figure]:
    """Yield the time of a small file, and the peak memory of the worker after each large file."""
    deployment = Deployment(folder / "worker", {"SIMULATION": "off"})
    last = START + (max(LARGE_FILES) - 1) * INTERVAL
    fill = ("backfill", "--start", format_instant(START), "--end", format_instant(last))
    deployment.set_up(fill)
    try:
        deployment.start()
        with requests.Session() as session:
            session.headers["Authorization"] = f"Token {deployment.outputs()['ApiKey']}"
            # The first file imports the libraries.
            durations = [_export(deployment, session, 1) for _ in range(SMALL_FILES + 1)][1:]
            what = f"file of {METERS:,} readings, POST to completed"
            yield Figure(what, statistics.median(durations), "s", MOST_SECONDS)
            for intervals in LARGE_FILES:
                _export(deployment, session, intervals)
                what = f"peak memory of an export worker, {intervals * METERS:,} readings"
                [worker] = deployment.started("worker")
                yield Figure(what, peak_mebibytes(worker), "MiB", MOST_MEBIBYTES)
    finally:
        deployment.stop()


def _export(deployment: Deployment, session: requests.Session, intervals: int) -> float:
    """Request a file, wait until it is completed, and return how many seconds this took."""
    url = f"{deployment.outputs()['apiGatewayInvokeURL']}/readings/file"
    body = {
        "start_date": format_instant(START),
        "end_date": format_instant(START + (intervals - 1) * INTERVAL),
    }
    started = time.perf_counter()
    request = session.post(url, json=body, timeout=30).json()
    while request["status"] not in ("completed", "failed"):
        time.sleep(0.005)
        parameters = {"request_id": request["request_id"]}
        request = session.get(url, params=parameters, timeout=30).json()
    seconds = time.perf_counter() - started
    assert request.get("record_count") == intervals * METERS, request
    return seconds
