"""Attacks on the host: a locked database, files that expand, receivers that never answer, a killed supervisor."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.attack.attack import Outcome, Scale
from tests.attack.target import Target
from tests.deployment import ROOT

SETTINGS = {
    # Those of `make run`: the deployments of other tests have one process.
    "WEB_WORKERS": "2",
    # The receiver of the webhook is on this machine.
    "WEBHOOK_PRIVATE_ADDRESSES": "on",
}
"""The settings of the deployment that `make attack` starts."""
_LOCK_SECONDS = 28.0
_END_SECONDS = 20.0
_MAX_LOAD_MEBIBYTES = 450
_CSRF_TOKEN = "a" * 32
_JSON = {"Content-Type": "application/json"}


def a_receiver_that_drips(target: Target, scale: Scale, outcome: Outcome) -> None:
    """A webhook whose receiver sends its answer one byte at a time, for 8 files."""
    with _dripping_server() as (port, durations):
        with target.database() as database:
            database.execute(
                "INSERT INTO exports_webhook (active, url, created_at, supplier_id) SELECT 1, ?, created_at, id"
                " FROM exports_supplier WHERE name = 'attacker'",
                [f"http://127.0.0.1:{port}/events"],
            )
        body = b'{"start_date": "2020-01-01", "end_date": "2020-01-02"}'
        for _ in range(8):
            target.call("POST", "/readings/file", target.attacker, body=body, headers=_JSON)
        deadline = time.monotonic() + 90
        while not durations and time.monotonic() < deadline:
            time.sleep(0.2)
    outcome.expect(
        bool(durations) and max(durations) < 30,
        f"{len(durations)} calls ended by headend, the longest after {max(durations, default=90):.0f} s",
    )


def a_locked_database(target: Target, scale: Scale, outcome: Outcome) -> None:
    """The database is locked for 28 s while clients log in."""
    statuses: list[int] = []
    with target.database() as database:
        database.execute("BEGIN IMMEDIATE")
        threads = [
            threading.Thread(target=lambda: statuses.append(_log_in_status(target)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        time.sleep(_LOCK_SECONDS)
        database.execute("ROLLBACK")
    for thread in threads:
        thread.join()
    outcome.expect(set(statuses) <= {200, 429, 503}, f"log-ins answered {sorted(statuses)}")


def a_file_that_expands(target: Target, scale: Scale, outcome: Outcome) -> None:
    """`load` of a gzip file that expands 1,000 times: zeros without an end of line."""
    path = target.deployment.home.parent / "expands.csv.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"time,arrival_time,device_id,measure_name,load,crrnt,pf,kva,kw,vltg\n")
        for _ in range(1024):
            file.write(bytes(2**20))
    load = subprocess.Popen(
        [sys.executable, "manage.py", "load", str(path)],
        cwd=ROOT, env=target.deployment.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    peak = 0
    process = psutil.Process(load.pid)
    while load.poll() is None:
        with suppress(psutil.Error):
            peak = max(peak, process.memory_info().rss)
        time.sleep(0.05)
    path.unlink()
    outcome.expect(load.returncode == 1, f"exit code {load.returncode}")
    outcome.expect(peak < _MAX_LOAD_MEBIBYTES * 2**20, f"{peak / 2**20:.0f} MiB at most")


def work_without_data(target: Target, scale: Scale, outcome: Outcome) -> None:
    """Windows of two thousand years and pages far behind the end, as an operator."""
    for path in (
        "/readings?start_date=0001-01-01&end_date=9999-12-31&page_size=1",
        "/readings?start_date=2020-01-01&offset=1000000000000",
        "/readings/files?page=1000000000",
    ):
        started = time.monotonic()
        status, _ = target.call("GET", path, target.attacker)
        seconds = time.monotonic() - started
        outcome.expect(status < 500 and seconds < 5, f"{status} after {seconds:.2f} s: {path}")


def a_killed_supervisor(target: Target, scale: Scale, outcome: Outcome) -> None:
    """SIGKILL for the process of `make run`. Last, because it ends the deployment."""
    process = target.deployment.process
    assert process is not None
    before = len(target.deployment.processes())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + _END_SECONDS
    while (left := target.deployment.processes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    outcome.expect(not left, f"{len(left)} of {before} processes are left")
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


ATTACKS = [a_receiver_that_drips, a_locked_database, a_file_that_expands, work_without_data]
LAST = a_killed_supervisor


def _log_in_status(target: Target) -> int:
    """Return the status of a log-in with a wrong password."""
    body = f"username=nobody&password=wrong&csrfmiddlewaretoken={_CSRF_TOKEN}".encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": f"csrftoken={_CSRF_TOKEN}",
    }
    return target.call("POST", "/login/", body=body, headers=headers)[0]


@contextmanager
def _dripping_server() -> Iterator[tuple[int, list[float]]]:
    """A server that never finishes its answer. Yields its port, and how long each client stayed, in seconds."""
    durations: list[float] = []
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        started = time.monotonic()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not ended.wait(0.5):
                connection.sendall(b"a")
            return
        durations.append(time.monotonic() - started)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=drip, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], durations
        ended.set()
