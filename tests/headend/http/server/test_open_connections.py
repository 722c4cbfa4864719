"""The web processes of a host have equal numbers of connections."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from headend.http import gunicorn_config
from headend.http.gunicorn_worker import serve_once
from headend.http.server.limits import Limits
from headend.http.server.listener import ACCEPTED_AT_ONCE, Listener
from headend.http.server.open_connections import MAX_PROCESSES, OpenConnections, Place
from headend.http.server.threads import FairThreads
from tests.headend.http.server.serving import application

CALLERS = 8


class Process:
    """The listener of one web process. The test decides when it runs."""

    def __init__(self, listening: socket.socket, place: Place | None) -> None:
        self._sockets: dict[int, Any] = {}
        self.listener = Listener(
            application, listening.dup(), FairThreads(1), Limits(), self._sockets, place=place
        )

    def run(self) -> None:
        """Serve what is ready."""
        serve_once([self.listener], self._sockets, 0.01)

    @property
    def connections(self) -> int:
        return len(self.listener.active_channels)

    def close(self) -> None:
        self.listener.close_connections()
        self.listener.close()


class Host:
    """Two processes that accept connections from one socket."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        numbers = OpenConnections()
        first = numbers.place([])
        self.first, self.second = (self._start(each) for each in (first, numbers.place([first])))

    def _start(self, place: Place | None) -> Process:
        process = Process(self._listening, place)
        self._stack.callback(process.close)
        process.run()
        return process

    def connect(self, callers: int) -> None:
        """Let callers connect, before a process accepts any of them."""
        for _ in range(callers):
            caller = socket.create_connection(self._listening.getsockname(), timeout=30)
            self._stack.enter_context(caller)


@pytest.fixture
def host() -> Iterator[Host]:
    """Two processes without connections."""
    with ExitStack() as stack:
        yield Host(stack)


def test_connections_that_arrive_at_once_are_shared(host: Host) -> None:
    host.connect(CALLERS)
    for _ in range(CALLERS):
        host.first.run()
        host.second.run()
    assert (host.first.connections, host.second.connections) == (CALLERS / 2, CALLERS / 2)


def test_a_process_leaves_a_new_connection_to_one_with_fewer(host: Host) -> None:
    host.connect(1)
    host.first.run()
    host.connect(1)
    host.first.run()
    assert host.first.connections == 1
    host.second.run()
    assert host.second.connections == 1


def test_connections_that_the_other_process_does_not_accept_are_accepted_soon(host: Host) -> None:
    host.connect(CALLERS)
    deadline = time.monotonic() + 30
    while host.first.connections < CALLERS:
        assert time.monotonic() < deadline
        host.first.run()
    assert host.second.connections == 0


def test_a_process_that_ends_gets_no_connections(host: Host) -> None:
    host.connect(2)
    host.first.run()
    host.second.listener.begin_drain(idle_seconds=1)
    host.first.run()
    assert host.first.connections == 2


def test_a_process_that_runs_alone_accepts_all() -> None:
    alone = OpenConnections().place([])
    assert alone is not None
    assert alone.share(1000) >= ACCEPTED_AT_ONCE


def test_each_process_of_gunicorn_has_a_place_until_it_has_ended() -> None:
    server = SimpleNamespace(WORKERS={})
    workers = [SimpleNamespace(place=None) for _ in range(3)]
    for pid, worker in enumerate(workers):
        gunicorn_config.pre_fork(server, worker)
        worker.place.report(10 * pid)
        server.WORKERS[pid] = worker
    first, second, third = (worker.place for worker in workers)
    assert (first.share(0), second.share(10), third.share(20)) == (11, 0, 0)
    # gunicorn forgets the process before it calls the hook.
    gunicorn_config.child_exit(server, server.WORKERS.pop(0))
    assert (second.share(10), third.share(20)) == (11, 0)
    successor = SimpleNamespace(place=None)
    gunicorn_config.pre_fork(server, successor)
    assert successor.place.index == first.index
    for each in (second, third):
        each.leave()


def test_more_processes_than_places_share_nothing() -> None:
    numbers = OpenConnections()
    places: list[Place | None] = []
    for _ in range(MAX_PROCESSES):
        places.append(numbers.place(places))
    assert None not in places
    assert numbers.place(places) is None
