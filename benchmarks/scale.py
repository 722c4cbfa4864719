"""``python -m benchmarks.scale``: export 100 million readings with 1, 2 and 4 workers of one core each.

Prints the duration, the readings per second and the peak memory of a worker. Needs about 10 GB of disk space.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from readings.instants import format_instant
from tests.services.cluster import Cluster, Servers
from tests.services.file_requests import wait_until_final
from tests.services.servers import AWS, Postgres, SeaweedFS, Valkey

START = datetime(2023, 2, 20, tzinfo=UTC)
DAYS = 7
METERS = 50_000


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
    console = Console(width=120)
    os.environ |= AWS
    folder = Path(tempfile.mkdtemp(prefix="headend-scale-"))
    try:
        with (
            Postgres(folder / "postgres") as postgres,
            SeaweedFS(folder / "seaweedfs") as bucket,
            Valkey(folder / "valkey") as broker,
        ):
            servers = Servers(postgres, bucket, broker)
            console.print(_table(_runs(servers, folder, options, console), options.store))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _runs(
    servers: Servers, folder: Path, options: argparse.Namespace, console: Console
) -> list[Run]:
    # A worker gets one core. Without this, Polars would use all cores in each worker.
    extra = {"SIMULATION_DEVICES": str(METERS), "POLARS_MAX_THREADS": "1"}
    if options.store == "disk":
        (folder / "exports").mkdir()
        extra["EXPORTS_URL"] = f"file://{folder / 'exports'}"
    cluster = Cluster(folder / "cluster", servers, threads=1, extra=extra)
    cluster.set_up()
    for day in range(options.days):
        start = START + timedelta(days=day)
        end = start + timedelta(days=1, minutes=-5)
        cluster.manage("backfill", "--start", format_instant(start), "--end", format_instant(end))
        console.print(f"  filled day {day + 1} of {options.days}")
    cluster.manage(
        "shell",
        "-v0",
        "-c",
        "from readings.tasks import maintain_repository; maintain_repository()",
    )
    runs = []
    for workers in options.workers:
        cluster.workers = workers
        cluster.start()
        runs.append(_export(cluster, options.days))
        cluster.stop()
        console.print(f"  {runs[-1]}")
    return runs


def _export(cluster: Cluster, days: int) -> Run:
    time.sleep(5)  # wait until the workers have started
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
        _peak_mebibytes(member.process.pid)
        for name, member in cluster.members.items()
        if name.startswith("worker") and member.process
    )
    return Run(cluster.workers, status["record_count"], status["size"] / 1e9, seconds, memory)


def _peak_mebibytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [peak] = [line for line in lines if line.startswith("VmHWM")]
    return int(peak.split()[1]) / 1024


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
