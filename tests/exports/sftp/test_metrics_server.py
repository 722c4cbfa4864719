"""The metrics of an SFTP process are served beside SFTP, and no client of them can disturb it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from exports.sftp import metrics_server
from exports.sftp.metrics_server import MetricsServer, start_metrics_server

pytestmark = pytest.mark.starts_processes


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    """A running server of metrics."""
    started = start_metrics_server("127.0.0.1", 0)
    yield started
    started.shutdown()
    started.server_close()


def metrics(server: MetricsServer) -> str:
    url = f"http://127.0.0.1:{server.server_port}/metrics"
    return requests.get(url, timeout=30).text


def test_the_metrics_of_the_process_are_served(server: MetricsServer) -> None:
    assert "process_cpu_seconds_total" in metrics(server)


@pytest.mark.parametrize("beginning", [b"", b"GET /metrics HTTP/1.1\r\nHo"])
def test_silent_clients_use_few_threads_and_are_disconnected(
    server: MetricsServer, beginning: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_server, "REQUEST_SECONDS", 0.5)
    before = threading.active_count()
    with ExitStack() as stack:
        silent = []
        for _ in range(40):
            address = ("127.0.0.1", server.server_port)
            silent.append(stack.enter_context(socket.create_connection(address, timeout=30)))
            silent[-1].sendall(beginning)
        assert threading.active_count() <= before + metrics_server.MAX_REQUESTS
        for connection in silent:
            assert received(connection) == b""
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "process_cpu_seconds_total" in metrics(server)


def received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1)
    except ConnectionResetError:
        return b""


def test_without_another_thread_a_request_is_refused_and_the_server_continues(
    server: MetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(requests.ConnectionError):
            metrics(server)
    assert "process_cpu_seconds_total" in metrics(server)
