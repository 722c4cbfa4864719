"""A web process that ends completes every request that has reached it."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from headend.http import gunicorn_worker
from headend.http.server.limits import Limits
from headend.http.server.listener import Listener
from headend.http.server.threads import FairThreads
from tests.headend.http.server.serving import LARGE, application, read_all, serving

pytestmark = pytest.mark.starts_processes

GET = b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n"
GET_LARGE = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
DRAIN_SECONDS = 60


@pytest.fixture
def short_idle_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain in which connections without a request are closed soon."""
    monkeypatch.setattr(gunicorn_worker, "DRAIN_IDLE_SECONDS", 1)


def test_a_request_over_a_connection_that_was_not_accepted_yet_is_answered(
    short_idle_time: None,
) -> None:
    sockets: dict[int, Any] = {}
    threads = FairThreads(1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        listener = Listener(application, listening, threads, Limits(), sockets)
        with socket.create_connection(address, timeout=30) as caller:
            caller.sendall(GET)
            gunicorn_worker.end([listener], sockets, threads, DRAIN_SECONDS)
            response = read_all(caller)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=30)
        listener.close()
    assert response.endswith(b"GET /page ")
    assert b"\r\nConnection: close\r\n" in response


def test_a_caller_with_an_open_connection_can_send_one_more_request() -> None:
    with serving(drain_seconds=DRAIN_SECONDS) as server, server.connect() as caller:
        caller.sendall(GET)
        assert b"Connection: close" not in caller.recv(65536)
        server.stop()
        caller.sendall(GET)
        response = read_all(caller)
    assert b"\r\nConnection: close\r\n" in response


def test_a_connection_without_a_request_is_closed_before_the_drain_time_is_over(
    short_idle_time: None,
) -> None:
    with serving(drain_seconds=DRAIN_SECONDS) as server, server.connect() as caller:
        caller.sendall(GET)
        assert caller.recv(65536)
        server.stop()
        assert read_all(caller) == b""


def test_a_download_is_completed(short_idle_time: None) -> None:
    with (
        serving(drain_seconds=DRAIN_SECONDS) as server,
        server.connect(reads_little=True) as caller,
    ):
        caller.sendall(GET_LARGE)
        received = len(caller.recv(1))
        server.stop()
        received += len(read_all(caller))
    assert received > LARGE


def test_a_short_drain_does_not_wait_for_connections_without_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gunicorn_worker, "DRAIN_IDLE_SECONDS", 3600)
    patient = Limits(idle_seconds=3600)
    with serving(limits=patient, drain_seconds=3600) as server, server.connect() as caller:
        caller.sendall(GET)
        assert caller.recv(65536)
        server.stop()
        assert read_all(caller) == b""
