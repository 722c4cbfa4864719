"""``python -m benchmarks.scale``: one request for 100 million readings, by 1, 2 and 4 workers of one core each.

Prints seconds, readings a second and the most memory a worker has held. Takes some 10 GB of disk.
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

from readings.frame import format_instant
from tests.services.cluster import Cluster, Servers
from tests.services.orders import wait
from tests.services.servers import AWS, Postgres, SeaweedFS, Valkey

START = datetime(2023, 2, 20, tzinfo=UTC)
DAYS = 7
METERS = 50_000


@dataclass(frozen=True)
class Run:
    """What one export took; memory in MiB, of the worker that held most."""

    workers: int
    readings: int
    gigabytes: float
    seconds: float
    memory: float


def main() -> int:
    """Fill a store, export it with each number of workers, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=DAYS, help="of 14.4 million readings each")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--store", choices=["disk", "s3"], default="disk")
    given = parser.parse_args()
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
            console.print(_table(_runs(servers, folder, given, console), given.store))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _runs(servers: Servers, folder: Path, given: argparse.Namespace, console: Console) -> list[Run]:
    # A worker is a core: without this, one worker's frames would take both of a small machine.
    extra = {"SIMULATION_DEVICES": str(METERS), "POLARS_MAX_THREADS": "1"}
    if given.store == "disk":
        (folder / "exports").mkdir()
        extra["EXPORTS_URL"] = f"file://{folder / 'exports'}"
    cluster = Cluster(folder / "cluster", servers, threads=1, extra=extra)
    cluster.set_up()
    for day in range(given.days):
        start = START + timedelta(days=day)
        end = start + timedelta(days=1, minutes=-5)
        cluster.manage("backfill", "--start", format_instant(start), "--end", format_instant(end))
        console.print(f"  filled day {day + 1} of {given.days}")
    cluster.manage(
        "shell",
        "-v0",
        "-c",
        "from readings.tasks import maintain_repository; maintain_repository()",
    )
    runs = []
    for workers in given.workers:
        cluster.workers = workers
        cluster.start()
        runs.append(_export(cluster, given.days))
        cluster.stop()
        console.print(f"  {runs[-1]}")
    return runs


def _export(cluster: Cluster, days: int) -> Run:
    time.sleep(5)  # the workers are up
    body = {
        "start_date": format_instant(START),
        "end_date": format_instant(START + timedelta(days=days, minutes=-5)),
    }
    began = time.monotonic()
    request_id = cluster.patient_call("POST", "/readings/file", json=body)["request_id"]
    [answer] = wait(cluster, [request_id], seconds=3600)
    seconds = time.monotonic() - began
    assert answer["status"] == "completed", answer
    assert answer["record_count"] == days * 288 * METERS
    memory = max(
        _peak_mebibytes(member.process.pid)
        for name, member in cluster.members.items()
        if name.startswith("worker") and member.process
    )
    return Run(cluster.workers, answer["record_count"], answer["size"] / 1e9, seconds, memory)


def _peak_mebibytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [peak] = [line for line in lines if line.startswith("VmHWM")]
    return int(peak.split()[1]) / 1024


def _table(runs: list[Run], store: str) -> Table:
    table = Table(
        "workers", "readings", "file, GB", "seconds", "readings a second", "peak memory, MiB",
        title=f"one request, onto {store}, {os.cpu_count()} cores",
    )  # fmt: skip
    for run in runs:
        table.add_row(
            str(run.workers), f"{run.readings:,}", f"{run.gigabytes:.2f}", f"{run.seconds:.1f}",
            f"{run.readings / run.seconds:,.0f}", f"{run.memory:.0f}",
        )  # fmt: skip
    return table


if __name__ == "__main__":
    sys.exit(main())
