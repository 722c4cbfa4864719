"""The innocent client: it calls ``/health/live``, a page of readings and the SFTP server, and records the delays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import paramiko

from tests.attack.target import INNOCENT, Target

PAUSE_SECONDS = 0.2
SFTP_PAUSE_SECONDS = 1.0
"""A log-in takes a tenth of a second of processor time."""


@dataclass
class Experience:
    """What happened to the innocent client: the longest delay of each kind of call in seconds, and all errors."""

    longest: dict[str, float] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def measure(self, kind: str, call: Callable[[], None]) -> None:
        """Make one call, and note its delay or its error."""
        started = time.monotonic()
        try:
            call()
        except Exception as error:
            self.errors.append(f"{kind}: {type(error).__name__}: {error}")
        delay = time.monotonic() - started
        self.longest[kind] = max(self.longest.get(kind, 0.0), delay)

    def __str__(self) -> str:
        delays = ", ".join(f"{kind} {seconds:.2f} s" for kind, seconds in self.longest.items())
        return f"{delays}; {len(self.errors)} errors" if self.errors else delays


@contextmanager
def innocent_client(target: Target) -> Iterator[Experience]:
    """Use the deployment from another address and as another supplier until the end of the block.

    Each kind of call is made at least once.
    """
    experience = Experience()
    ended = threading.Event()

    def repeat(kind: str, call: Callable[[], None], pause: float) -> None:
        while True:
            experience.measure(kind, call)
            if ended.wait(pause):
                return

    calls = [
        ("health", lambda: _health(target), PAUSE_SECONDS),
        ("page", lambda: _page(target), PAUSE_SECONDS),
        ("sftp", lambda: _list_folder(target), SFTP_PAUSE_SECONDS),
    ]
    threads = [threading.Thread(target=repeat, args=each, daemon=True) for each in calls]
    for thread in threads:
        thread.start()
    try:
        yield experience
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _health(target: Target) -> None:
    status, _ = target.call("GET", "/health/live", source=INNOCENT)
    assert status == 200, status


def _page(target: Target) -> None:
    path = "/readings?start_date=2020-01-01&page_size=100"
    status, body = target.call("GET", path, target.innocent, source=INNOCENT)
    assert status == 200, (status, body[:200])


def _list_folder(target: Target) -> None:
    with target.sftp(target.innocent, INNOCENT) as transport:
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        client.listdir("/")
