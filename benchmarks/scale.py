"""``python -m benchmarks.scale``: export 100 million readings with 1, 2 and 4 workers of one core each.

Prints the duration, the readings per second and the peak memory of a worker. ``python -m benchmarks.growth workers``
measures the same with a day of 14.4 million readings.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.peak_memory import peak_mebibytes
from benchmarks.preparation import clean_up_after_sigterm, forget_settings, print_needs
from benchmarks.ratio import Point
from readings.instants import format_instant
from tests.services.cluster import Cluster, Servers
from tests.services.file_requests import wait_until_final
from tests.services.servers import AWS, Postgres, SeaweedFS, Valkey

START = datetime(2023, 2, 20, tzinfo=UTC)
DAYS = 7
METERS = 50_000
ROUNDS = 3
"""How often a day is exported with each number of workers; the median counts."""
# What a day needs: its readings, its parts, and its file for each number of workers have about this size each.
_BYTES_PER_DAY, _FURTHER_BYTES = 600_000_000, 500_000_000
_SECONDS_PER_DAY, _FURTHER_SECONDS = 70, 60


@dataclass(frozen=True)
class Run:
    """The result of one export. ``memory`` is the peak of the largest worker in MiB."""

    workers: int
    readings: int
    gigabytes: float
    seconds: float
    memory: float


def main() -> int:
    """Fill a repository, export it with each number of workers, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=DAYS, help="days of 14.4 million readings each")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--store", choices=["disk", "s3"], default="disk")
    options = parser.parse_args()
    clean_up_after_sigterm()
    forget_settings()
    print_needs(
        _FURTHER_BYTES + options.days * _BYTES_PER_DAY * (2 + len(options.workers)),
        _FURTHER_SECONDS + options.days * _SECONDS_PER_DAY,
    )
    console = Console(width=120)
    with (
        tempfile.TemporaryDirectory(prefix="headend-scale-", ignore_cleanup_errors=True) as folder,
        _filled_cluster(Path(folder), options.days, options.store) as cluster,
    ):
        runs = []
        for workers in options.workers:
            with _workers(cluster, workers):
                runs.append(_export(cluster, options.days))
            console.print(f"  {runs[-1]}")
        console.print(_table(runs, options.store))
    return 0


def measure(folder: Path, *sizes: int) -> Iterator[Point]:
    """Export a day with each number of workers in turns, and yield the points of the curves."""
    runs: dict[int, list[Run]] = {workers: [] for workers in sizes}
    with _filled_cluster(folder / "workers", days=1, store="disk") as cluster:
        for _ in range(ROUNDS):
            for workers in sizes:
                with _workers(cluster, workers):
                    runs[workers].append(_export(cluster, days=1))
    for workers, exports in runs.items():
        rate = statistics.median(run.readings / run.seconds for run in exports)
        memory = max(run.memory for run in exports)
        yield Point("readings per second into a file", "M readings/s", workers, rate / 1e6)
        yield Point("peak memory of a worker", "MiB", workers, memory)


@contextmanager
def _filled_cluster(folder: Path, days: int, store: str) -> Iterator[Cluster]:
    """Start the servers, and write the readings. No process of the deployment runs yet."""
    os.environ |= AWS
    # A worker gets one core. Without this, Polars would use all cores in each worker.
    extra = {"SIMULATION_DEVICES": str(METERS), "POLARS_MAX_THREADS": "1"}
    if store == "disk":
        (folder / "exports").mkdir(mode=0o700, parents=True)
        extra["EXPORTS_URL"] = f"file://{folder / 'exports'}"
    with (
        Postgres(folder / "postgres") as postgres,
        SeaweedFS(folder / "seaweedfs") as bucket,
        Valkey(folder / "valkey") as broker,
    ):
        servers = Servers(postgres, bucket, broker)
        cluster = Cluster(folder / "cluster", servers, threads=1, extra=extra)
        cluster.set_up()
        end = START + timedelta(days=days, minutes=-5)
        cluster.manage("backfill", "--start", format_instant(START), "--end", format_instant(end))
        maintain = "from readings.tasks import maintain_repository; maintain_repository()"
        cluster.manage("shell", "-v0", "-c", maintain)
        yield cluster


@contextmanager
def _workers(cluster: Cluster, workers: int) -> Iterator[None]:
    """Run the deployment with this number of workers."""
    cluster.workers = workers
    try:
        cluster.start()
        time.sleep(5)  # wait until the workers have started
        yield
    finally:
        cluster.stop()
        # The next number of workers can be smaller.
        cluster.members.clear()


def _export(cluster: Cluster, days: int) -> Run:
    body = {
        "start_date": format_instant(START),
        "end_date": format_instant(START + timedelta(days=days, minutes=-5)),
    }
    started = time.monotonic()
    request_id = cluster.call_with_retries("POST", "/readings/file", json=body)["request_id"]
    [status] = wait_until_final(cluster, [request_id], seconds=3600)
    seconds = time.monotonic() - started
    assert status["status"] == "completed", status
    assert status["record_count"] == days * 288 * METERS
    memory = max(
        peak_mebibytes(member.process.pid)
        for name, member in cluster.members.items()
        if name.startswith("worker") and member.process
    )
    return Run(cluster.workers, status["record_count"], status["size"] / 1e9, seconds, memory)


def _table(runs: list[Run], store: str) -> Table:
    table = Table(
        "workers", "readings", "file, GB", "seconds", "readings per second", "peak memory, MiB",
        title=f"one file request, export store: {store}, {os.cpu_count()} cores",
    )  # fmt: skip
    for run in runs:
        table.add_row(
            str(run.workers), f"{run.readings:,}", f"{run.gigabytes:.2f}", f"{run.seconds:.1f}",
            f"{run.readings / run.seconds:,.0f}", f"{run.memory:.0f}",
        )  # fmt: skip
    return table


if __name__ == "__main__":
    sys.exit(main())
