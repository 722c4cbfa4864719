"""The web processes of a host have equal numbers of connections."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from headend.http import gunicorn_config
from headend.http.gunicorn_worker import serve_once
from headend.http.server import listener
from headend.http.server.limits import Limits
from headend.http.server.listener import ACCEPTED_AT_ONCE, YIELD_SECONDS, Listener
from headend.http.server.open_connections import MAX_PROCESSES, ConnectionCount, OpenConnections
from headend.http.server.threads import FairThreads
from tests.deployment import ROOT
from tests.headend.http.server.serving import application

CALLERS = 8


class Process:
    """The listener of one web process. The test decides when it runs."""

    def __init__(self, listening: socket.socket, count: ConnectionCount | None) -> None:
        self._sockets: dict[int, Any] = {}
        self.listener = Listener(
            application, listening.dup(), FairThreads(1), Limits(), self._sockets, count=count
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
        counts = OpenConnections()
        first = counts.new_count([])
        self.first, self.second = (self._start(each) for each in (first, counts.new_count([first])))

    def _start(self, count: ConnectionCount | None) -> Process:
        process = Process(self._listening, count)
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


def test_a_process_that_has_yielded_looks_once_more_at_once_and_then_waits_for_new_connections(
    host: Host,
) -> None:
    host.connect(1)
    host.first.run()
    host.connect(1)
    host.first.run()
    # The loop of the web server would otherwise wait for half a second.
    assert host.first.listener.limit_wait(30) <= YIELD_SECONDS
    host.second.run()
    while host.first.listener.limit_wait(30):
        time.sleep(YIELD_SECONDS / 5)
    host.first.run()
    assert host.first.listener.limit_wait(30) == 30


def test_a_process_that_has_yielded_waits_for_its_last_connections_when_it_ends(host: Host) -> None:
    host.connect(1)
    host.first.run()
    host.connect(1)
    host.first.run()
    host.first.listener.stop_accepting()
    time.sleep(YIELD_SECONDS)
    assert host.first.listener.limit_wait(30) == 30


def test_a_process_that_ends_gets_no_connections(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here both processes have one socket, but only one of them ends.
    monkeypatch.setattr(listener, "refuse_new_connections", lambda _: None)
    host.connect(2)
    host.first.run()
    host.second.listener.begin_drain(idle_seconds=1)
    host.second.run()
    assert host.second.connections == 1
    host.first.run()
    host.connect(1)
    host.first.run()
    assert host.first.connections == 2


def test_a_process_without_free_files_gets_no_connections(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.connect(1)
    host.first.run()
    monkeypatch.setattr(host.second.listener, "_paused_until", time.monotonic() + 60)
    host.second.run()
    host.connect(1)
    host.first.run()
    assert host.first.connections == 2


def test_a_process_that_runs_alone_accepts_all() -> None:
    alone = OpenConnections().new_count([])
    assert alone is not None
    assert alone.connections_to_accept(1000) >= ACCEPTED_AT_ONCE


@pytest.mark.starts_processes
def test_forked_processes_see_each_others_counts() -> None:
    # In a process without threads, which can be forked safely.
    code = """
import os
from headend.http.server.open_connections import OpenConnections
counts = OpenConnections()
first = counts.new_count([])
second = counts.new_count([first])
if not (pid := os.fork()):
    second.report(7)
    os._exit(0)
os.waitpid(pid, 0)
print(first.connections_to_accept(0))
"""
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout == b"8\n"


def test_each_process_of_gunicorn_has_a_count_until_it_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gunicorn_config, "_open_connections", OpenConnections())
    server = SimpleNamespace(WORKERS={})
    workers = [SimpleNamespace(count=None) for _ in range(3)]
    for pid, worker in enumerate(workers):
        gunicorn_config.pre_fork(server, worker)
        worker.count.report(10 * pid)
        server.WORKERS[pid] = worker
    first, second, third = (worker.count for worker in workers)
    accept = [
        count.connections_to_accept(own) for count, own in ((first, 0), (second, 10), (third, 20))
    ]
    assert accept == [11, 0, 0]
    # gunicorn forgets the process before it calls the hook.
    gunicorn_config.child_exit(server, server.WORKERS.pop(0))
    assert second.connections_to_accept(10) == 11
    successor = SimpleNamespace(count=None)
    first.report(0)
    gunicorn_config.pre_fork(server, successor)
    assert successor.count.index == first.index
    # It accepts no connections before it has started.
    assert second.connections_to_accept(10) == 11


def test_more_processes_than_counts_share_nothing() -> None:
    counts = OpenConnections()
    used: list[ConnectionCount | None] = []
    for _ in range(MAX_PROCESSES):
        used.append(counts.new_count(used))
    assert None not in used
    assert counts.new_count(used) is None
