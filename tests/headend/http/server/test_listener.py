"""Many connections, or a lack of files, never prevent other callers from connecting."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from headend.config.limited_log import LimitedLog
from headend.http.gunicorn_worker import serve_once
from headend.http.server import listener as listener_module
from headend.http.server.limits import Limits
from headend.http.server.listener import Listener
from headend.http.server.threads import Caller, FairThreads, Work
from tests.headend.http.server.serving import (
    LARGE,
    Complete,
    Server,
    application,
    read_all,
    reset,
    serving,
    wait_until,
)

pytestmark = pytest.mark.starts_processes

GET_AND_CLOSE = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("limits", [Limits(connections_per_address=5), Limits(connections=5)])
def test_a_new_connection_replaces_the_one_that_is_silent_for_the_longest_time(
    limits: Limits,
) -> None:
    with serving(limits=limits) as server, ExitStack() as stack:
        silent = [stack.enter_context(server.connect()) for _ in range(50)]
        assert server.answers()
        assert server.connections() <= 5
        assert silent[0].recv(1) == b""
        # The newest ones are still open.
        silent[-1].settimeout(0.05)
        with pytest.raises(TimeoutError):
            silent[-1].recv(1)


def test_a_connection_is_refused_while_all_others_are_being_answered(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    with serving(limits=Limits(connections_per_address=2)) as server, ExitStack() as stack:
        busy = [stack.enter_context(server.connect()) for _ in range(2)]
        wait_until(lambda: server.connections() == 2)
        for connection in server.listener.active_channels.values():
            connection.requests.append("being answered")
        assert server.connect().recv(1) == b""
        assert server.connect().recv(1) == b""
        [line] = log_lines()
        assert line["message"] == "a connection was refused: too many are open"
        for connection in server.listener.active_channels.values():
            connection.requests.clear()
        assert len(busy) == server.connections()


def test_a_proxy_may_have_more_connections_than_one_caller() -> None:
    with serving(limits=Limits(connections_per_address=2)) as server, ExitStack() as stack:
        server.listener.caller_address = lambda peer, forwarded_for: None
        for _ in range(5):
            stack.enter_context(server.connect())
        wait_until(lambda: server.connections() == 5)


def test_a_network_with_few_connections_loses_none_to_one_that_opens_many() -> None:
    limits = Limits(connections=5, header_seconds=3600)
    with serving(limits=limits) as server, ExitStack() as stack:
        innocent = stack.enter_context(server.connect(source="127.0.0.2"))
        wait_until(lambda: server.connections() == 1)
        for _ in range(20):
            stack.enter_context(server.connect())
        assert server.answers()
        innocent.sendall(GET_AND_CLOSE)
        assert read_all(innocent).endswith(b"GET / ")


def test_a_network_whose_connections_are_all_busy_takes_none_from_others() -> None:
    limits = Limits(connections=3, header_seconds=3600)
    with serving(limits=limits) as server, ExitStack() as stack:
        innocent = stack.enter_context(server.connect(source="127.0.0.2"))
        for _ in range(2):
            stack.enter_context(server.connect())
        wait_until(lambda: server.connections() == 3)
        busy = [
            each for each in server.listener.active_channels.values() if each.network == "127.0.0.1"
        ]
        for connection in busy:
            connection.requests.append("being answered")
        assert server.connect().recv(1) == b""
        for connection in busy:
            connection.requests.clear()
        innocent.sendall(GET_AND_CLOSE)
        assert read_all(innocent).endswith(b"GET / ")


@pytest.mark.parametrize(
    ("source", "header"), [("127.0.0.2", b""), (None, b"X-Forwarded-For: 192.0.2.1\r\n")]
)
def test_the_largest_response_of_the_network_with_most_unread_bytes_is_closed(
    source: str | None, header: bytes
) -> None:
    """Networks are compared directly and behind a proxy that reports its callers."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = b"x" * int(environ["PATH_INFO"][1:])
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return Complete([body])

    with serving(app) as server, ExitStack() as stack:
        server.listener.caller_address = address_of_caller

        def get(size: int, header: bytes = b"", source: str | None = None) -> socket.socket:
            connection = stack.enter_context(server.connect(reads_little=True, source=source))
            connection.sendall(b"GET /%d HTTP/1.1\r\n%bConnection: close\r\n\r\n" % (size, header))
            return connection

        innocent = get(2 * LARGE, header, source)
        wait_until(lambda: len(unread_bytes(server)) == 1)
        greedy = [get(size) for size in (LARGE, LARGE * 3 // 2, LARGE, LARGE)]
        wait_until(lambda: len(unread_bytes(server)) == 5)
        server.listener.limits = Limits(unsent_bytes=sum(unread_bytes(server)) - LARGE // 4)
        server.listener.pull_trigger()
        wait_until(lambda: server.connections() < 5)
        left = {each.addr[1] for each in server.listener.active_channels.values()}
        assert left == {each.getsockname()[1] for each in (innocent, greedy[0], *greedy[2:])}


def unread_bytes(server: Server) -> list[int]:
    """Return how many bytes of each response the server could not send."""
    connections = list(server.listener.active_channels.values())
    return [each.total_outbufs_len for each in connections if each.total_outbufs_len]


class Failing:
    """A listening socket whose ``accept`` fails a number of times."""

    def __init__(self, real: socket.socket, error: OSError, times: int) -> None:
        self._real = real
        self._error = error
        self.left = times

    def accept(self) -> tuple[socket.socket, Any]:
        if self.left:
            self.left -= 1
            raise self._error
        return self._real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (OSError(errno.EMFILE, "Too many open files"), 1),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 1),
        (ConnectionAbortedError(errno.ECONNABORTED, "Software caused connection abort"), 0),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), 0),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), 0),
    ],
)
def test_an_error_of_one_connection_ends_nothing_and_is_logged_once_a_second(
    error: OSError,
    logged: int,
    log_lines: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "PAUSE_SECONDS", 0.0)
    with serving() as server:
        server.listener._log = LimitedLog(listener_module.log, seconds=3600)
        failing = server.listener.socket = Failing(server.listener.socket, error, 7)
        with ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(server.connect())
            wait_until(lambda: failing.left == 0)
        wait_until(server.answers)
    assert [line["message"] for line in log_lines()] == ["connections are refused"] * logged


def test_a_connection_for_which_no_file_is_left_is_refused_and_does_not_wait() -> None:
    with serving() as server:
        server.listener.socket = Failing(
            server.listener.socket, OSError(errno.EMFILE, "Too many open files"), 1
        )
        assert server.connect().recv(1) == b""
        assert server.answers()
        # The next lack of files can be handled, too.
        assert server.listener._spare_file.is_open


def test_an_error_of_the_loop_is_logged_and_the_server_goes_on(
    log_lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headend.http.gunicorn_worker.MAX_WAIT_SECONDS", 0.01)
    with serving() as server:

        def fail() -> None:
            patch.undo()
            raise RuntimeError("a bug")

        patch = pytest.MonkeyPatch()
        patch.setattr(server.listener, "close_overdue", fail)
        wait_until(
            lambda: any("an error in the main thread" in line["message"] for line in log_lines())
        )
        assert server.answers()


def test_a_process_opens_no_more_connections_than_it_may_open_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert Limits(connections=1000).possible_connections == (1024 - 128) // 2
    assert Limits(connections=100).possible_connections == 100


def test_a_new_connection_gets_no_events_of_a_closed_one_with_the_same_number() -> None:
    sockets: dict[int, Any] = {}
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as stack:
        address = listening.getsockname()
        listener = Listener(application, listening, FairThreads(1), Limits(), sockets)
        stack.callback(listener.close)
        old = socket.create_connection(address)
        serve_once([listener], sockets)
        [old_connection] = listener.active_channels.values()
        number = old_connection.socket.fileno()
        # In one round: the old connection is reset and closed, and a new one arrives.
        reset(old)
        new = stack.enter_context(socket.create_connection(address))
        new.sendall(b"GET /page HTTP/1.1\r\nConnection: close\r\n\r\n")
        listener.trigger.pull_trigger(old_connection.handle_close)
        serve_once([listener], sockets)
        [new_connection] = listener.active_channels.values()
        assert new_connection.socket.fileno() == number
        stack.callback(listener.close_connections)


@pytest.fixture
def callers_seen(monkeypatch: pytest.MonkeyPatch) -> list[Caller]:
    """The callers for whom the server has added work to its threads."""
    seen: list[Caller] = []

    def add_task(threads: FairThreads, work: Work) -> None:
        seen.append(work.caller)
        original(threads, work)

    original = FairThreads.add_task
    monkeypatch.setattr(FairThreads, "add_task", add_task)
    return seen


def address_of_caller(peer: str, forwarded_for: str) -> str | None:
    """Return what a proxy reports. The proxy does not know the caller ``::1``."""
    return None if forwarded_for == "::1" else forwarded_for or peer


@pytest.mark.parametrize(
    ("headers", "identity", "address"),
    [
        (b"", "127.0.0.1", "127.0.0.1"),
        (b"Authorization: key\r\n", "AUTHORIZATION: key", "127.0.0.1"),
        (b"X-API-Key: key\r\n", "X_API_KEY: key", "127.0.0.1"),
        (b"Cookie: a=b\r\nX-API-Key: key\r\n", "X_API_KEY: key", "127.0.0.1"),
        (b"Cookie: a=b\r\n", "COOKIE: a=b", "127.0.0.1"),
        # The server of this test trusts each proxy that sends this header.
        (b"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", "192.0.2.1"),
        (b"X-Forwarded-For: ::1\r\nCookie: a=b\r\n", "COOKIE: a=b", None),
        (b"X-Forwarded-For: ::1\r\n", "127.0.0.1", None),
        # No credential can be taken for an address.
        (b"Authorization: 192.0.2.1\r\n", "AUTHORIZATION: 192.0.2.1", "127.0.0.1"),
    ],
)
def test_a_caller_is_its_credential_and_its_address(
    headers: bytes, identity: str, address: str | None, callers_seen: list[Caller]
) -> None:
    with serving() as server:
        server.listener.caller_address = address_of_caller
        server.response_to(b"GET / HTTP/1.1\r\nConnection: close\r\n" + headers + b"\r\n")
    assert callers_seen == [Caller(identity, address)]


@pytest.mark.parametrize(
    ("path", "is_probe"),
    [(b"/health/live", True), (b"/anything/health/live", False), (b"/health/live/", False)],
)
def test_only_the_exact_path_of_the_probe_has_its_own_thread(
    path: bytes, is_probe: bool, callers_seen: list[Caller]
) -> None:
    with serving() as server:
        server.response_to(b"GET %b HTTP/1.1\r\nConnection: close\r\n\r\n" % path)
    assert callers_seen == [Caller("127.0.0.1", "127.0.0.1", is_probe)]
