"""Attacks on the web server by clients that are slow, many, or send too much."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress

from tests.attack.attack import Outcome, Scale
from tests.attack.target import Supplier, Target

_DRIP_SECONDS = 0.5
_LOG_IN_PAGE = b"GET /login/ HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid=%d\r\n\r\n"
_HEADER = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


def silent_connections(target: Target, scale: Scale, outcome: Outcome) -> None:
    """200 connections that send nothing."""
    with ExitStack() as opened:
        connections = _open(opened, target.http_socket, scale.connections, outcome)
        time.sleep(scale.seconds)
        outcome.lines.append(f"{len(connections)} connections held")


def half_sent_headers(target: Target, scale: Scale, outcome: Outcome) -> None:
    """200 requests whose header never ends, one byte at a time."""
    with ExitStack() as opened:
        connections = _open(opened, target.http_socket, scale.connections, outcome)
        for connection in connections:
            _send(connection, _HEADER)
        _drip(connections, scale.seconds)


def slow_bodies(target: Target, scale: Scale, outcome: Outcome) -> None:
    """16 bodies of queries, one byte at a time."""
    head = (
        "POST /readings/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Token {target.attacker.api_key}\r\nContent-Length: 100000\r\n\r\n"
    ).encode()
    with ExitStack() as opened:
        connections = _open(opened, target.http_socket, scale.unread_pages, outcome)
        for connection in connections:
            _send(connection, head)
        _drip(connections, scale.seconds)


def pages_that_nobody_reads(target: Target, scale: Scale, outcome: Outcome) -> None:
    """16 clients that request a page of 50,000 readings and do not read it."""
    with ExitStack() as opened:
        connections = []
        for _ in range(scale.unread_pages):
            connection = opened.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", target.deployment.http_port))
            _send(connection, _page_request(target.attacker, scale.page_size))
            connections.append(connection)
        time.sleep(scale.seconds)
        outcome.lines.append(f"{len(connections)} pages not read")


def strangers_at_the_web_server(target: Target, scale: Scale, outcome: Outcome) -> None:
    """500 sockets of strangers to the web server."""
    with ExitStack() as opened:
        connections = _open(opened, target.http_socket, scale.strangers, outcome)
        time.sleep(scale.seconds)
        outcome.lines.append(f"{len(connections)} opened")


def invented_credentials(target: Target, scale: Scale, outcome: Outcome) -> None:
    """200 connections at a time that request the log-in page, each with another cookie."""
    requests = 0
    until = time.monotonic() + scale.seconds
    while time.monotonic() < until:
        with ExitStack() as opened:
            connections = _open(opened, target.http_socket, scale.connections, outcome)
            for connection in connections:
                requests += 1
                _send(connection, _LOG_IN_PAGE % requests)
            for connection in connections:
                _status(connection)
    outcome.lines.append(f"{requests} requests")


def a_large_form(target: Target, scale: Scale, outcome: Outcome) -> None:
    """A multipart body of 200 MiB sent to /login/."""
    size = scale.body_mebibytes * 2**20
    with target.http_socket() as connection:
        _send(
            connection,
            b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: %d\r\n\r\n" % size,
        )
        block, sent = b"x" * 2**16, 0
        with suppress(OSError):
            while sent < size:
                connection.sendall(block)
                sent += len(block)
        status = _status(connection)
    outcome.expect(status == 413, f"answer {status} after {sent / 2**20:.0f} MiB")


def unknown_codings(target: Target, scale: Scale, outcome: Outcome) -> None:
    """Transfer codings, lengths and versions that no server knows."""
    inputs: list[bytes] = [
        b"Transfer-Encoding: rot13", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, chunked",
        b"Content-Length: -1", b"Content-Length: 1e3", b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Content-Length: 4\r\nContent-Length: 5", b"Host: b\r\nHost: c", b"X: \x00", b"\xff: \xff", b": empty",
    ]  # fmt: skip
    for each in inputs:
        with target.http_socket() as connection:
            _send(
                connection, b"POST /readings/query HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % each
            )
            connection.settimeout(5)
            status = _status(connection)
        outcome.expect(status < 500, f"{each[:40]!r}: {status or 'closed'}")


ATTACKS = [
    silent_connections, half_sent_headers, slow_bodies, pages_that_nobody_reads,
    strangers_at_the_web_server, invented_credentials, a_large_form, unknown_codings,
]  # fmt: skip


def _open(
    opened: ExitStack, connect: Callable[[], socket.socket], count: int, outcome: Outcome
) -> list[socket.socket]:
    """Open connections. The server may refuse some of them."""
    connections, refused = [], 0
    for _ in range(count):
        try:
            connections.append(opened.enter_context(connect()))
        except OSError:
            refused += 1
    if refused:
        outcome.lines.append(f"{refused} refused")
    return connections


def _send(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        connection.sendall(data)


def _drip(connections: Iterable[socket.socket], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for connection in connections:
            _send(connection, b"a")
        time.sleep(_DRIP_SECONDS)


def _status(connection: socket.socket) -> int:
    """Return the status of the answer, or 0 if the server closed the connection without one."""
    answer = b""
    with suppress(OSError):
        while len(answer) < 12 and (received := connection.recv(4096)):
            answer += received
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0


def _page_request(supplier: Supplier, size: int) -> bytes:
    return (
        f"GET /readings?start_date=2020-01-01&page_size={size} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Token {supplier.api_key}\r\n\r\n"
    ).encode()
