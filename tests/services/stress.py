"""``python -m tests.services.stress``: the tests of kills, faults, duplicates, fuzzing and load, with more of each."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.deployment import Deployment
from tests.services.cluster import Cluster, Servers
from tests.services.concurrent_suppliers import measure_suppliers
from tests.services.fault_proxy import FaultProxy
from tests.services.file_requests import Outcome, backfill, mixed_bodies, run_requests
from tests.services.fuzzing import fuzz
from tests.services.message_duplicator import MessageDuplicator
from tests.services.process_killer import ProcessKiller
from tests.services.servers import Postgres, SeaweedFS, Valkey

SEED = 1
HOURS = 24
METERS = 3500
"""In :data:`HOURS` they send a million readings. This is the largest file that a run requests."""
PROGRESS_SECONDS = 15
_READINGS = "readings"
"""The prefix of the readings in the bucket."""

Lines = Iterator[str]
"""The result of a run, line by line, so that the lines before an error are printed too."""


@dataclass
class Run:
    """The folder of one run, whether its readings are in the bucket, and the function that returns its progress."""

    folder: Path
    readings_in_bucket: bool = False
    progress: Callable[[], str] = field(default=lambda: "setting up")

    @contextmanager
    def cluster(self, **extra: str) -> Iterator[Cluster]:
        """A cluster with readings and its own servers. The caller starts it."""
        with (
            Postgres(self.folder / "postgres") as postgres,
            SeaweedFS(self.folder / "seaweedfs") as seaweedfs,
            Valkey(self.folder / "valkey", persistent=False) as valkey,
        ):
            settings = {"SIMULATION_DEVICES": str(METERS), **extra}
            if self.readings_in_bucket:
                settings["READINGS_URL"] = seaweedfs.readings_url(_READINGS)
            servers = Servers(postgres, seaweedfs, valkey)
            cluster = Cluster(self.folder / "cluster", servers, extra=settings)
            try:
                cluster.set_up(backfill(hours=HOURS))
                yield cluster
            finally:
                cluster.stop()


def kill(run: Run) -> Lines:
    """200 file requests while web, beat, SFTP, workers and the broker are killed 100 times."""
    with run.cluster() as cluster:
        cluster.start()
        killer = ProcessKiller(cluster, kills=100, seed=SEED, pause=1.5)
        run.progress = lambda: f"{killer.killed.total()} of 100 kills"
        outcomes = _run_twice(cluster, 200, killer, pause=0.7)
        yield "killed: " + ", ".join(f"{name} {n}" for name, n in killer.killed.most_common())
        yield from _results(*outcomes)
        assert killer.killed.total() == 100


def faults(run: Run) -> Lines:
    """100 file requests while a tenth of the calls to the bucket fail in one of six ways."""
    with run.cluster() as cluster:
        seaweedfs = cluster.servers.seaweedfs
        with FaultProxy(seaweedfs.endpoint, share=0.1, seed=SEED, hang_seconds=2) as proxy:
            urls = {"EXPORTS_URL": seaweedfs.url_by(proxy.url, cluster.prefix)}
            if run.readings_in_bucket:
                urls["READINGS_URL"] = seaweedfs.readings_url(_READINGS, proxy.url)
            cluster.start(**_for_all(**urls))
            run.progress = lambda: f"{proxy.faults.total():,} of {proxy.calls:,} calls failed"
            outcomes = _run_twice(cluster, 100)
        yield f"{proxy.faults.total():,} of {proxy.calls:,} calls failed"
        yield from _results(*outcomes)


def duplicates(run: Run) -> Lines:
    """100 file requests while each message is delivered twice, late, and again after all work is done."""
    with run.cluster() as cluster:
        duplicator = MessageDuplicator(cluster.servers.valkey, seed=SEED)
        cluster.start(
            **_for_all(
                CELERY_BROKER_READ_URL=duplicator.delivered_url,
                CELERY_BROKER_WRITE_URL=duplicator.sent_url,
            )
        )
        duplicator.start()
        run.progress = lambda: f"{duplicator.counted['delivered']:,} messages delivered"
        outcomes = _run_twice(cluster, 100)
        attempts = cluster.attempts()
        duplicator.deliver_again()
        duplicator.stop()
        counts = ", ".join(f"{n:,} {event}" for event, n in duplicator.counted.items())
        yield f"messages: {counts}"
        yield from _results(*outcomes)
        assert cluster.attempts() == attempts, "late messages repeated finished work"


def fuzzing(run: Run) -> Lines:
    """5,000 random calls to the API; each response is checked against the OpenAPI schema."""
    deployment = Deployment(run.folder / "home", {"SIMULATION_DEVICES": "50"})
    run.progress = lambda: "calling the API"
    try:
        deployment.start()
        outputs = deployment.outputs()
        result = fuzz(outputs["apiGatewayInvokeURL"], outputs["ApiKey"], cases=5000, seed=SEED)
    finally:
        deployment.stop()
    yield f"{result.cases:,} calls, {len(result.failures)} kinds of failure"
    statuses = sorted({status for _, status in result.responses})
    by_status = {s: sum(n for (_, t), n in result.responses.items() if t == s) for s in statuses}
    yield "responses: " + ", ".join(f"{n:,} with {status}" for status, n in by_status.items())
    result.check()


def load(run: Run) -> Lines:
    """200 suppliers that poll, page and request files at the same time for a minute."""
    with run.cluster(WEB_WORKERS="2") as cluster:
        cluster.start()
        run.progress = lambda: "calling the API, then waiting for the last files"
        measurement = measure_suppliers(cluster, suppliers=200, seconds=60, hours=HOURS)
    for call, seconds in measurement.seconds.items():
        p50, p95, p99 = measurement.percentiles(call)
        yield f"{call}: {len(seconds):,} calls, p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"
    yield f"{measurement.errors.total()} errors"
    final_statuses = measurement.final_statuses.items()
    yield "file requests: " + ", ".join(f"{n:,} {status}" for status, n in final_statuses)
    yield f"the client used {measurement.client_share:.0%} of one core"
    measurement.check()


RUNS = {"kill": kill, "faults": faults, "duplicates": duplicates, "fuzz": fuzzing, "load": load}


def _for_all(**settings: str) -> dict[str, dict[str, str]]:
    return dict.fromkeys(("web", "beat", "worker", "sftp"), settings)


def _run_twice(
    cluster: Cluster,
    count: int,
    disturbance: AbstractContextManager[object] | None = None,
    *,
    pause: float = 0,
) -> tuple[Outcome, Outcome]:
    bodies = mixed_bodies(count, hours=HOURS, seed=SEED)
    disturbed = run_requests(cluster, bodies, disturbance, pause=pause)
    return disturbed, run_requests(cluster, bodies)


def _results(disturbed: Outcome, undisturbed: Outcome) -> Lines:
    statuses = disturbed.statuses
    completed = sum(status["status"] == "completed" for status in statuses)
    sizes = [status.get("record_count", 0) for status in statuses]
    incomplete = len(disturbed.incomplete + undisturbed.incomplete)
    leftovers = len(disturbed.leftovers + undisturbed.leftovers)
    yield f"{completed} of {len(statuses)} completed, with {min(sizes):,} to {max(sizes):,} readings each"
    yield f"{disturbed.seconds:.0f} s; undisturbed: {undisturbed.seconds:.0f} s"
    yield f"{incomplete} incomplete files seen, {leftovers} leftovers"
    disturbed.check_against(undisturbed)


@contextmanager
def _print_progress(name: str, run: Run, console: Console) -> Iterator[None]:
    ended = threading.Event()
    started = time.monotonic()

    def print_regularly() -> None:
        while not ended.wait(PROGRESS_SECONDS):
            console.print(f"  {name}: {time.monotonic() - started:.0f} s, {run.progress()}")

    threading.Thread(target=print_regularly, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def main(arguments: list[str]) -> int:
    """Execute the runs, print a table of results, and return 0 if all of them passed."""
    options = _options(arguments)
    names = options.names or list(RUNS)
    console = Console(width=120, highlight=False)
    table = Table("run", "result", "seconds", "", show_lines=True)
    all_passed = True
    for name in names:
        console.print(f"{name}: {RUNS[name].__doc__}")
        started = time.monotonic()
        lines: list[str] = []
        with tempfile.TemporaryDirectory(prefix="headend-stress-") as folder:
            run = Run(Path(folder), options.bucket)
            passed = True
            try:
                with _print_progress(name, run, console):
                    for line in RUNS[name](run):
                        lines.append(line)  # `extend` would lose the lines before an error
            except Exception:
                # The other runs take place anyway.
                passed = all_passed = False
                console.print_exception(max_frames=4)
        verdict = "passed" if passed else "FAILED"
        table.add_row(name, "\n".join(lines), f"{time.monotonic() - started:.0f}", verdict)
        console.print(f"  {name}: {verdict}")
    console.print(table)
    return 0 if all_passed else 1


def _options(arguments: list[str]) -> argparse.Namespace:
    runs = "\n".join(f"  {name:11}{run.__doc__}" for name, run in RUNS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.services.stress",
        description="Disturbs a deployment on real servers, and prints what happened to its file requests and calls.",
        epilog=f"runs:\n{runs}\n\nEach run starts PostgreSQL, Valkey and S3 from wheels in a temporary folder and takes\n"
        "several minutes. The seed is fixed: each time, the schedule is the same.\n\n"
        "examples:\n  python -m tests.services.stress\n  python -m tests.services.stress kill load\n"
        "  python -m tests.services.stress --bucket faults",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="run", choices=[*RUNS, []], help="the runs (default: all)"
    )
    parser.add_argument(
        "--bucket", action="store_true", help="store the readings in the bucket, not in a folder"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
