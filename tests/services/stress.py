"""``python -m tests.services.stress``: what `make test` does in small, whole."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.deployment import Deployment
from tests.services.cluster import Cluster, Servers
from tests.services.doubling import Doubling
from tests.services.fault_proxy import FaultProxy
from tests.services.fuzzing import fuzz
from tests.services.killing import Killing
from tests.services.load import load
from tests.services.orders import Order, Outcome, fill, in_trouble_and_in_quiet, mixed
from tests.services.servers import Postgres, SeaweedFS, Valkey

SEED = 1
HOURS = 24
METERS = 3500
"""Over :data:`HOURS` they send a million readings, the largest file that is asked for."""
PROGRESS_SECONDS = 15

Figures = Iterator[str]


@dataclass
class Place:
    """Where one run takes place, and where it says how far it is."""

    folder: Path
    says: Callable[[], str] = field(default=lambda: "setting up")

    @contextmanager
    def cluster(self, **extra: str) -> Iterator[Cluster]:
        """A cluster on servers of its own, not started yet."""
        with (
            Postgres(self.folder / "postgres") as postgres,
            SeaweedFS(self.folder / "seaweedfs") as seaweedfs,
            Valkey(self.folder / "valkey", forgetful=True) as valkey,
        ):
            settings = {"SIMULATION_DEVICES": str(METERS), **extra}
            servers = Servers(postgres, seaweedfs, valkey)
            cluster = Cluster(self.folder / "cluster", servers, extra=settings)
            try:
                cluster.set_up()
                fill(cluster, hours=HOURS)
                yield cluster
            finally:
                cluster.stop()


def kill(place: Place) -> Figures:
    """200 file requests while web, beat, SFTP, workers and the broker are killed 100 times."""
    with place.cluster() as cluster:
        cluster.start()
        killing = Killing(cluster, kills=100, seed=SEED, pause=1.5)
        place.says = lambda: f"{killing.killed.total()} of 100 kills"
        outcome = _orders(cluster, 200, killing, pause=0.7)
        yield "killed: " + ", ".join(f"{name} {n}" for name, n in killing.killed.most_common())
        yield from _became_of(outcome)
        assert killing.killed.total() == 100


def faults(place: Place) -> Figures:
    """100 file requests while one in ten calls of the bucket fails in one of six ways."""
    with place.cluster() as cluster:
        seaweedfs = cluster.servers.seaweedfs
        with FaultProxy(seaweedfs.endpoint, share=0.1, seed=SEED, hang_seconds=2) as proxy:
            cluster.start(**_all(EXPORTS_URL=seaweedfs.url_by(proxy.url, cluster.prefix)))
            place.says = lambda: f"{proxy.faults.total():,} of {proxy.calls:,} calls failed"
            outcome = _orders(cluster, 100, nullcontext(), pause=0)
        yield f"{proxy.faults.total():,} of {proxy.calls:,} calls failed"
        yield from _became_of(outcome)


def doubling(place: Place) -> Figures:
    """100 file requests while every message comes twice, late, and again when all is done."""
    with place.cluster() as cluster:
        carrier = Doubling(cluster.servers.valkey, seed=SEED)
        cluster.start(
            **_all(
                CELERY_BROKER_READ_URL=carrier.delivered_url,
                CELERY_BROKER_WRITE_URL=carrier.sent_url,
            )
        )
        carrier.start()
        place.says = lambda: f"{carrier.counted['delivered']:,} messages delivered"
        outcome = _orders(cluster, 100, nullcontext(), pause=0)
        before = cluster.attempts()
        carrier.deliver_what_was_kept()
        carrier.stop()
        yield ", ".join(f"{n:,} {what}" for what, n in carrier.counted.items()) + " (messages)"
        yield from _became_of(outcome)
        assert cluster.attempts() == before, "late messages had work done again"


def fuzzing(place: Place) -> Figures:
    """5,000 calls that nobody would think of, each answer held against the OpenAPI schema."""
    deployment = Deployment(place.folder / "home", {"SIMULATION_DEVICES": "50"})
    place.says = lambda: "calling"
    try:
        deployment.start()
        outputs = deployment.outputs()
        fuzzed = fuzz(outputs["apiGatewayInvokeURL"], outputs["ApiKey"], cases=5000, seed=SEED)
    finally:
        deployment.stop()
    yield f"{fuzzed.cases:,} calls, {len(fuzzed.failures)} kinds of failure"
    statuses = sorted({status for _, status in fuzzed.answers})
    by_status = {s: sum(n for (_, t), n in fuzzed.answers.items() if t == s) for s in statuses}
    yield "answers: " + ", ".join(f"{n:,} of {status}" for status, n in by_status.items())
    fuzzed.check()


def loading(place: Place) -> Figures:
    """200 suppliers who poll, page and order at once for a minute."""
    with place.cluster(WEB_WORKERS="2") as cluster:
        cluster.start()
        place.says = lambda: "calling, then waiting for the last files"
        measured = load(cluster, suppliers=200, seconds=60, hours=HOURS)
    for call, seconds in measured.seconds.items():
        p50, p95, p99 = measured.percentiles(call)
        yield f"{call}: {len(seconds):,} calls, p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms"
    yield f"errors {measured.errors.total()}; files {dict(measured.ended)}"
    yield f"the client took {measured.client_share:.0%} of one core"
    measured.check()


RUNS = {"kill": kill, "faults": faults, "doubling": doubling, "fuzz": fuzzing, "load": loading}


def _all(**settings: str) -> dict[str, dict[str, str]]:
    return dict.fromkeys(("web", "beat", "worker", "sftp"), settings)


def _orders(
    cluster: Cluster, count: int, trouble: AbstractContextManager[object], *, pause: float
) -> Outcome:
    orders: list[Order] = mixed(count, hours=HOURS, seed=SEED)
    return in_trouble_and_in_quiet(cluster, orders, trouble, pause=pause)


def _became_of(outcome: Outcome) -> Figures:
    completed = sum(answer["status"] == "completed" for answer in outcome.answers)
    sizes = [answer.get("record_count", 0) for answer in outcome.answers]
    yield f"{completed} of {len(outcome.answers)} completed, of {min(sizes):,} to {max(sizes):,} readings"
    yield f"{outcome.seconds:.0f} s, {outcome.quiet_seconds:.0f} s in quiet"
    yield f"files seen before they were whole {len(outcome.broken)}, things left {len(outcome.left)}"
    outcome.check()


@contextmanager
def _telling(name: str, place: Place, console: Console) -> Iterator[None]:
    ended = threading.Event()
    began = time.monotonic()

    def tell() -> None:
        while not ended.wait(PROGRESS_SECONDS):
            console.print(f"  {name}: {time.monotonic() - began:.0f} s, {place.says()}")

    threading.Thread(target=tell, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def main(arguments: list[str]) -> int:
    """The exit code: 0 when every run that was asked for passed."""
    names = _arguments(arguments) or list(RUNS)
    console = Console(width=120, highlight=False)
    table = Table("run", "figures", "seconds", "", show_lines=True)
    all_passed = True
    for name in names:
        console.print(f"{name}: {RUNS[name].__doc__}")
        began = time.monotonic()
        figures: list[str] = []
        with tempfile.TemporaryDirectory(prefix="headend-stress-") as folder:
            place = Place(Path(folder))
            passed = True
            try:
                with _telling(name, place, console):
                    for line in RUNS[name](place):
                        figures.append(line)  # what comes before an error is kept
            except Exception:
                # Whatever it is, the other runs have figures to show.
                passed = all_passed = False
                console.print_exception(max_frames=4)
        verdict = "passed" if passed else "FAILED"
        table.add_row(name, "\n".join(figures), f"{time.monotonic() - began:.0f}", verdict)
        console.print(f"  {name}: {verdict}")
    console.print(table)
    return 0 if all_passed else 1


def _arguments(arguments: list[str]) -> list[str]:
    runs = "\n".join(f"  {name:10}{run.__doc__}" for name, run in RUNS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.services.stress",
        description="Runs a deployment on real servers into trouble and prints what became of it.",
        epilog=f"runs:\n{runs}\n\nEach starts PostgreSQL, Valkey and S3 from wheels in a temporary folder and takes\n"
        "some minutes. The seed is fixed: a second run meets the same schedule.\n\n"
        "examples:\n  python -m tests.services.stress\n  python -m tests.services.stress kill load",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names", nargs="*", metavar="run", choices=[*RUNS, []], help="which; all without one"
    )
    chosen: list[str] = parser.parse_args(arguments).names
    return chosen


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
