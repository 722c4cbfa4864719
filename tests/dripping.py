"""A server on this machine that sends one byte after the other and never ends its answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import paramiko

MUCH_LONGER = 10.0
"""Seconds. Without a deadline, a call would not end. With one, it ends after this time even on a busy machine."""

Server = Callable[[socket.socket], object]


def drip(first: bytes, then: bytes) -> Server:
    """Return a server that sends ``first``, and then one byte of ``then`` every 20 ms, again and again."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            for byte in then:
                time.sleep(0.02)
                connection.sendall(bytes([byte]))

    return serve


@contextmanager
def running(serve: Server) -> Iterator[int]:
    """Run the server for one connection and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError, EOFError, paramiko.SSHException):
                connection, _ = listener.accept()
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
    thread.join(MUCH_LONGER)
    assert not thread.is_alive(), "the connection is still open"


@contextmanager
def soon() -> Iterator[None]:
    """Fail if the block takes much longer than the deadlines of the tests."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < MUCH_LONGER
