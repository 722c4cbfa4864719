"""A slow caller occupies its own connection only, and for a limited time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headend.http.server import connection as connection_module
from headend.http.server import listener as listener_module
from headend.http.server.limits import Limits
from tests.headend.http.server.serving import (
    LARGE,
    Server,
    application,
    read_all,
    serving,
    wait_until,
)

pytestmark = pytest.mark.starts_processes

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_AND_CLOSE = b"GET /last HTTP/1.1\r\nConnection: close\r\n\r\n"
GET_LARGE = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with one thread: no other caller would get a response while a slow caller occupies it."""
    patient = Limits(header_seconds=3600, body_seconds=3600, response_seconds=3600)
    with serving(limits=patient) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("silent", b""),
        ("half a header", GET[:20]),
        ("slow body", POST),
        ("does not read", GET_LARGE),
    ],
)
def test_slow_callers_do_not_delay_others(server: Server, name: str, beginning: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            slow = stack.enter_context(server.connect(reads_little=True))
            slow.sendall(beginning)
        wait_until(lambda: server.connections() >= 5)
        assert server.answers()
    wait_until(lambda: server.connections() == 0)


@pytest.mark.parametrize(
    ("limits", "beginning", "repeated"),
    [
        (Limits(header_seconds=0.2), b"", b""),
        (Limits(header_seconds=0.2), b"", b"\r\n"),
        (Limits(header_seconds=0.2), b"GET / HTTP/1.1\r\nA: ", b"x"),
        (Limits(body_seconds=0.2), POST, b"x"),
        (
            Limits(body_seconds=0.2),
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
        ),
    ],
)
def test_sending_slowly_extends_no_deadline(
    limits: Limits, beginning: bytes, repeated: bytes
) -> None:
    with serving(limits=limits) as server, server.connect() as slow:
        slow.sendall(beginning)
        wait_until(lambda: server.connections() == 1)
        started = time.monotonic()
        while server.connections() and send(slow, repeated):
            assert time.monotonic() - started < 5
            time.sleep(0.02)


def send(connection: socket.socket, data: bytes) -> int:
    """Return how many bytes were sent and, if the connection is still open, one more."""
    try:
        return connection.send(data) + 1
    except ConnectionError:
        return 0


def test_a_connection_without_a_next_request_is_closed() -> None:
    with serving(limits=Limits(idle_seconds=0.1)) as server, server.connect() as idle:
        idle.sendall(GET)
        assert read_all(idle).endswith(b"GET / ")


def test_a_response_that_is_read_too_slowly_is_cut_off() -> None:
    limits = Limits(response_seconds=0.2, response_bytes_per_second=LARGE)
    with serving(limits=limits) as server, server.connect(reads_little=True) as slow:
        slow.sendall(GET_LARGE)
        received = 0
        while data := receive(slow, 1000):
            received += len(data)
            time.sleep(0.01)
            if server.connections() == 0:
                break
        assert received < LARGE
        assert server.connections() == 0


def test_the_time_in_which_the_application_computes_is_not_the_time_of_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(connection_module, "time", clock)
    monkeypatch.setattr(listener_module, "time", clock)
    continues = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", str(LARGE + 5))])
        yield b"begin"
        assert continues.wait(30)
        yield b"x" * LARGE

    with serving(app) as server, server.connect(reads_little=True) as caller:
        caller.sendall(GET_AND_CLOSE)
        received = b""
        while not received.endswith(b"begin"):
            data = caller.recv(1000)
            assert data
            received += data
        (connection,) = server.listener.active_channels.values()
        now[0] += 5000
        continues.set()
        wait_until(lambda: connection.total_outbufs_len > 0 or not connection.connected)
        is_checked = threading.Event()
        server.listener.trigger.pull_trigger(server.listener.close_overdue)
        server.listener.trigger.pull_trigger(is_checked.set)
        assert is_checked.wait(30)
        assert connection.connected


def receive(connection: socket.socket, size: int) -> bytes:
    try:
        return connection.recv(size)
    except ConnectionResetError:
        return b""


def test_slow_callers_are_closed_when_their_responses_need_too_much_space() -> None:
    limits = Limits(unsent_bytes=LARGE)
    with serving(limits=limits) as server, ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(server.connect(reads_little=True))
            slow.sendall(GET_LARGE)
        wait_until(lambda: server.connections() == 1)
        assert server.answers()


def test_a_page_that_is_read_slowly_arrives_completely(server: Server) -> None:
    response = server.response_to(GET_LARGE.replace(b"Host: a", b"Connection: close"))
    assert len(response.partition(b"\r\n\r\n")[2]) == LARGE


def test_requests_that_were_sent_at_once_are_answered_in_order(server: Server) -> None:
    post = b"POST /first HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
    response = server.response_to(post + GET + GET_AND_CLOSE)
    found = [response.index(each) for each in (b"POST /first body", b"GET / ", b"GET /last ")]
    assert found == sorted(found)


def test_a_body_in_chunks_reaches_the_application_with_its_length(server: Server) -> None:
    request = b"POST / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert server.response_to(request + b"2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n").endswith(b"POST / body")


def test_a_response_to_head_has_no_body(server: Server) -> None:
    response = server.response_to(b"HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 7\r\n" in response
    assert response.endswith(b"\r\n\r\n")


def test_a_caller_that_asks_first_is_told_to_send_its_body(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert read_all(connection).endswith(b"POST / body")


def test_a_caller_that_sends_too_much_gets_the_refusal_while_it_sends() -> None:
    with serving(limits=Limits(linger_bytes=2**20)) as server, server.connect() as connection:
        connection.sendall(b"POST /login/ HTTP/1.1\r\nContent-Length: 200000000\r\n\r\n")
        sent = 0
        while more := send(connection, b"x" * 65536):
            sent += more
        assert sent < 32 * 2**20
        response = read_all(connection)
        assert response.startswith(b"HTTP/1.1 413 Request Entity Too Large\r\n")
        assert response.endswith(b'{"error": "The body is larger than 2048 KiB."}')


def test_what_follows_a_refused_request_is_never_a_request() -> None:
    called = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        called.append(environ["PATH_INFO"])
        return application(environ, start_response)

    refused = b"POST / HTTP/1.1\r\nTransfer-Encoding: strange\r\n\r\n"
    with serving(app) as server:
        for _ in range(50):
            assert server.response_to(refused + GET).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        wait_until(lambda: server.connections() == 0)
    assert called == []


def test_a_connection_that_drops_a_refused_request_parses_nothing_more() -> None:
    """The main thread can learn twice that the refusal is sent: from the socket, and from the thread."""
    with serving(limits=Limits(linger_seconds=3600)) as server, server.connect() as connection:
        connection.sendall(b"nonsense\r\n\r\n" + GET)
        assert connection.recv(12).endswith(b" 400")
        (lingering,) = server.listener.active_channels.values()
        wait_until(lambda: lingering._lingers)
        lingering._after_flush()
        assert lingering._unparsed == GET


def test_urgent_data_closes_the_connection(server: Server) -> None:
    with server.connect() as connection:
        wait_until(lambda: server.connections() == 1)
        connection.send(b"!", socket.MSG_OOB)
        wait_until(lambda: server.connections() == 0)


def test_a_probe_is_answered_while_all_threads_wait_for_something() -> None:
    may_end = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/waits":
            may_end.wait(30)
        return application(environ, start_response)

    with serving(app) as server, server.connect() as waiting:
        waiting.sendall(b"GET /waits HTTP/1.1\r\nConnection: close\r\n\r\n")
        response = server.response_to(b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert response.endswith(b"GET /health/live ")
        assert not may_end.is_set()
        may_end.set()
        assert read_all(waiting).endswith(b"GET /waits ")


class Download:
    """A body in blocks, as that of a file, which records how much was sent."""

    streaming = True

    def __init__(self) -> None:
        self.sent = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(LARGE // 2**18):
            yield b"x" * 2**18
            self.sent += 2**18

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("headers", [[("Content-Length", str(LARGE))], []])
def test_a_download_occupies_a_thread_only_while_its_caller_reads(
    headers: list[tuple[str, str]],
) -> None:
    download = Download()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/file":
            return application(environ, start_response)
        start_response("200 OK", headers)
        return download

    with serving(app) as server:
        with server.connect() as slow:
            slow.sendall(b"GET /file HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert slow.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
            assert server.answers()
            assert not download.closed
            assert len(read_all(slow)) > LARGE - 1000
        wait_until(lambda: download.closed)
        assert download.sent == LARGE


def test_a_download_ends_when_its_caller_disconnects_and_counts_only_what_was_sent() -> None:
    download = Download()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", str(LARGE))])
        return download

    with serving(app) as server:
        with server.connect(reads_little=True) as slow:
            slow.sendall(GET)
            slow.recv(1000)
        wait_until(lambda: download.closed)
        assert download.sent < LARGE


def test_downloads_that_are_open_are_closed_when_the_server_ends() -> None:
    download = Download()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", str(LARGE))])
        return download

    with serving(app) as server, server.connect(reads_little=True) as slow:
        slow.sendall(GET)
        slow.recv(1000)
    wait_until(lambda: download.closed)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("announced", [LARGE, LARGE + 1])
def test_a_static_file_is_sent_without_a_thread(
    tmp_path: Path, method: bytes, announced: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * LARGE)
    opened = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/file":
            return application(environ, start_response)
        opened.append(path.open("rb"))
        start_response("200 OK", [("Content-Length", str(announced))])
        return environ["wsgi.file_wrapper"](opened[0])

    with serving(app) as server, server.connect() as slow:
        slow.sendall(method + b" /file HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert slow.recv(12) == b"HTTP/1.1 200"
        assert server.answers()
        body = read_all(slow).partition(b"\r\n\r\n")[2]
        assert len(body) == (LARGE if method == b"GET" else 0)
        wait_until(lambda: opened[0].closed)


def test_a_caller_over_ipv6_gets_a_response() -> None:
    with serving(host="::1") as server:
        assert server.answers()


def test_an_error_of_the_application_is_a_500_in_json() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        raise RuntimeError("a bug")

    with serving(app) as server:
        response = server.response_to(GET)
    assert response.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert response.endswith(b'{"error": "Internal server error."}')
