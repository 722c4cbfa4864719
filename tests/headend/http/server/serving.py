"""A web server in a thread, with a small WSGI application."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from wsgiref.types import WSGIApplication

from headend.http import gunicorn_worker
from headend.http.server.limits import Limits
from headend.http.server.listener import Listener
from headend.http.server.threads import FairThreads

LARGE = 8 * 2**20
"""More bytes than the system accepts from a server whose client does not read."""


def application(environ: dict[str, Any], start_response: Any) -> Any:
    """Answer ``/large`` with :data:`LARGE` bytes, and everything else with method, path and body."""
    if environ["PATH_INFO"] == "/large":
        body = b"x" * LARGE
    else:
        body = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} ".encode()
        body += environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH", 0)))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return Complete([body])


class Complete(list[bytes]):
    """A body that is complete, as that of Django's HttpResponse."""

    streaming = False


@dataclass
class Server:
    """A running server, and its listener."""

    listener: Listener
    address: tuple[Any, ...]
    stop: Callable[[], None]
    """Begin to end the server, as gunicorn does at SIGTERM."""

    def connect(self, *, reads_little: bool = False, source: str | None = None) -> socket.socket:
        """Connect to the server, from the address ``source``."""
        connection = socket.socket(self.listener.family)
        if source:
            connection.bind((source, 0))
        if reads_little:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(30)
        connection.connect(self.address)
        return connection

    def response_to(self, request: bytes) -> bytes:
        """Send bytes, and return everything that the server sends until it closes the connection."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_all(connection)

    def answers(self) -> bool:
        """Return whether another caller gets a response."""
        response = self.response_to(b"GET /page HTTP/1.1\r\nConnection: close\r\n\r\n")
        return response.endswith(b"GET /page ")

    def connections(self) -> int:
        """Return how many connections the server has."""
        return len(self.listener.active_channels)


@contextmanager
def serving(
    app: WSGIApplication = application,
    limits: Limits | None = None,
    *,
    threads: int = 1,
    host: str = "127.0.0.1",
    drain_seconds: float = 1.0,
) -> Iterator[Server]:
    """Run a server with these limits. At the end, callers have ``drain_seconds``."""
    limits = limits or Limits()
    pool = FairThreads(threads)
    sockets: dict[int, Any] = {}
    ended = threading.Event()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        address = listening.getsockname()
        listener = Listener(app, listening, pool, limits, sockets)

        def serve() -> None:
            while not ended.is_set():
                gunicorn_worker.serve_once([listener], sockets)
            gunicorn_worker.end([listener], sockets, pool, drain_seconds)
            listener.close()

        def stop() -> None:
            if not ended.is_set():
                # Set in the server's thread: a thread that had ended would have closed the trigger.
                listener.trigger.pull_trigger(ended.set)
                ended.wait(30)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Server(listener, address, stop)
        finally:
            stop()
            thread.join(30)


def reset(connection: socket.socket) -> None:
    """Close a connection so that the other side gets an error instead of its end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_all(connection: socket.socket) -> bytes:
    """Return what arrives until the other side closes the connection."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, for at most 30 seconds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
