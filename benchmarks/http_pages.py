"""Pages of 100 readings over HTTP, compared with a bare Django view that returns the same bytes.

Both run under gunicorn with the same settings and the same worker class. Eight clients in another process follow
``next``, while a worker writes a live fleet of 50,000 meters every minute.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import requests

from benchmarks.ratio import Figure, Ratio
from exports.models import Supplier
from exports.suppliers.hand_over import create_api_key
from readings.described_table import describe
from readings.repositories import repository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from tests.deployment import ROOT
from tests.services.server_process import Server

CLIENTS = 8
PAGE = 100
START = datetime(2024, 5, 1, tzinfo=UTC)
HOURS = 2
ROUNDS = 12
SECONDS = 3.0
_PATH = "/readings?start_date={}&page_size=" + str(PAGE)


class Program(Server):
    """A program of the deployment, with the settings of the benchmark."""

    def __init__(self, folder: Path, command: list[str], **settings: str) -> None:
        super().__init__(folder)
        self._program, *self._arguments = command
        self._settings = settings

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return the command, with the program of this virtual environment if it has it."""
        own = Path(sys.executable).with_name(self._program)
        return [str(own) if own.exists() else self._program, *self._arguments]

    @property
    def environment(self) -> dict[str, str]:
        """The settings. The access log is on, as it is by default."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HEADEND_HOME": os.environ["HEADEND_HOME"],
            "HEADEND_PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": "headend.settings",
            "LOG_LEVEL": "INFO",
            "SIMULATION_INTERVAL": "1",
            **self._settings,
        }

    def is_ready(self) -> bool:
        """Return whether it runs."""
        return True


class WebServer(Program):
    """gunicorn with an application."""

    def __init__(self, folder: Path, application: str, **settings: str) -> None:
        config = str(ROOT / "headend" / "http" / "gunicorn_config.py")
        super().__init__(folder, ["gunicorn", application, "--config", config], **settings)

    def is_ready(self) -> bool:
        """Return whether it accepts connections."""
        socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        return True


def measure(folder: Path) -> Iterator[Ratio | Figure]:
    """Yield the ratio of the pages per second, and the 99th percentile of a page's time."""
    key = create_api_key(Supplier.objects.create(name="bench"))
    fill()
    with ExitStack() as stack:
        ours = stack.enter_context(WebServer(folder / "ours", "headend.wsgi"))
        page = folder / "page.json"
        page.write_bytes(_first_page(ours, key))
        peer = stack.enter_context(
            WebServer(
                folder / "bare",
                "django.core.wsgi:get_wsgi_application()",
                DJANGO_SETTINGS_MODULE="benchmarks.bare_page",
                BARE_PAGE=str(page),
            )
        )
        for name, command in _simulation().items():
            stack.enter_context(Program(folder / name, command))
        yield from _compare(ours, peer, key)


def fill() -> None:
    """Write the readings that the clients request. Describe the table as `setup` does, so that pages need no query."""
    describe(repository())
    fleet = Fleet()
    times = fleet.intervals(START, START + timedelta(hours=HOURS))
    repository().write(pl.concat([readings_for(fleet, time) for time in times]))
    repository().maintain()


def _simulation() -> dict[str, list[str]]:
    """Return the commands of the Procfile that write the live fleet."""
    lines = (line.split(": exec ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    return {name: shlex.split(command) for name, command in lines if name in ("worker", "beat")}


def _first_page(server: WebServer, key: str) -> bytes:
    url = server.url + _PATH.format(f"{START:%Y-%m-%d}")
    answer = requests.get(url, headers={"X-API-Key": key, "Accept-Encoding": ""}, timeout=60)
    answer.raise_for_status()
    return answer.content


def _compare(ours: WebServer, peer: WebServer, key: str) -> Iterator[Ratio | Figure]:
    keys = [key] * CLIENTS
    # The first call of each opens the table or the cache.
    for server in (ours, peer):
        follow(server, keys)
    our_runs, peer_runs = [], []
    for _ in range(ROUNDS):
        our_runs.append(follow(ours, keys))
        peer_runs.append(follow(peer, keys))
    what = f"a page of {PAGE} over HTTP, {CLIENTS} clients"
    our_seconds, peer_seconds = (
        statistics.median(seconds / pages for pages, seconds, _ in runs)
        for runs in (our_runs, peer_runs)
    )
    yield Ratio(what, "a bare Django view", our_seconds, peer_seconds, 0.65)
    slowest = statistics.median(milliseconds for _, _, milliseconds in our_runs)
    yield Figure(f"{what}: 99th percentile", slowest, "ms", 30)


def follow(server: WebServer, keys: list[str]) -> tuple[int, float, float]:
    """Let a client per API key follow pages.

    Return the number of pages, the seconds, and the 99th percentile of a page's time in milliseconds.
    """
    starts = [START + timedelta(hours=HOURS) * n / len(keys) for n in range(len(keys))]
    paths = [_PATH.format(f"{start:%Y-%m-%dT%H:%M}") for start in starts]
    client = [
        sys.executable, "-m", "benchmarks.page_client", str(server.port), ",".join(keys), str(SECONDS)
    ]  # fmt: skip
    printed = subprocess.run(
        [*client, *paths], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    pages, seconds, milliseconds = json.loads(printed)
    return pages, seconds, milliseconds
