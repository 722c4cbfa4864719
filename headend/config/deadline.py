"""Deadlines of calls to other servers.

A socket's timeout limits each single read. A server that sends one byte before each timeout could block a worker
forever. A :class:`Deadline` limits the whole call: at its end it shuts down the call's connections. The thread that
reads or writes them then gets an error.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

CHECK_SECONDS = 1.0
"""Seconds between two checks whether a call is still needed."""


class Deadline:
    """The time until which a call must have ended. Used as a context manager around the call.

    Args:
        seconds: how long the call may take.
        message: what :attr:`message` says when the deadline is over: one sentence.
        check: raises an error if the call is not needed any more. Then the deadline is over within
            :data:`CHECK_SECONDS`, also while the server does not answer.
    """

    def __init__(
        self, seconds: float, message: str, *, check: Callable[[], None] | None = None
    ) -> None:
        self.message = message
        self._check = check
        self.is_over = False
        """Whether the connections were shut down."""
        self._end = time.monotonic() + seconds
        self._latest, self._latest_message = math.inf, message
        self._connections: list[socket.socket] = []
        self._changed = threading.Condition()
        self._ended = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._wait, name="deadline", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
            for connection in self._connections:
                connection.close()

    @property
    def remaining(self) -> float:
        """The seconds until the end, at least a tiny positive number: a timeout of 0 means "do not wait"."""
        return max(0.001, self._end - time.monotonic())

    def watch(self, connection: socket.socket) -> None:
        """Shut ``connection`` down at the end. Call it before or after TLS wraps the socket."""
        with self._changed:
            # Not dup(), which a socket with TLS refuses.
            copy = socket.fromfd(connection.fileno(), connection.family, connection.type)
            self._connections.append(copy)
            if self.is_over:
                self._shut_down()

    def restart(self, seconds: float, message: str) -> None:
        """Set a new end, because the server has made progress. It is never later than :meth:`limit` allows."""
        end = time.monotonic() + seconds
        with self._changed:
            self._set(end, message)

    def limit(self, seconds: float, message: str) -> None:
        """End the whole call ``seconds`` from now at the latest, even if it makes progress."""
        with self._changed:
            self._latest, self._latest_message = time.monotonic() + seconds, message
            self._set(self._end, self.message)

    def _set(self, end: float, message: str) -> None:
        if end > self._latest:
            end, message = self._latest, self._latest_message
        # A later end need not wake the thread: it looks again when the earlier end has passed.
        if end < self._end:
            self._changed.notify()
        self._end, self.message = end, message

    def _wait(self) -> None:
        with self._changed:
            while not self._ended:
                left = self._end - time.monotonic()
                if left <= 0 or self._is_cancelled():
                    self.is_over = True
                    self._shut_down()
                    return
                self._changed.wait(left if self._check is None else min(left, CHECK_SECONDS))

    def _is_cancelled(self) -> bool:
        if self._check is None:
            return False
        try:
            self._check()
        except Exception:
            self.message = "The call was cancelled."
            return True
        return False

    def _shut_down(self) -> None:
        for connection in self._connections:
            # The server may have closed the connection already.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class WatchedConnection:
    """A mixin for urllib3's connections: the deadline of the current call also limits the TLS handshake."""

    def current_deadline(self) -> Deadline | None:
        """Return the deadline of the call that needs this connection now, or None without one."""
        raise NotImplementedError

    def _new_conn(self) -> socket.socket:
        # urllib3 calls this before the handshake, and has no public method for it. Each class with this
        # mixin also inherits urllib3's connection, which has the method.
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]
        self._watch(connection)
        return connection

    def _watch(self, connection: socket.socket) -> None:
        deadline = self.current_deadline()
        if deadline is not None:
            deadline.watch(connection)


def resolve(host: str, port: int, seconds: float) -> list[Any]:
    """Return what ``socket.getaddrinfo`` returns for TCP. Raises ``TimeoutError`` after ``seconds``, and its errors.

    The system's resolver has no deadline: slow name servers can delay it for minutes. It runs in a separate thread,
    which ends when the resolver gives up.
    """
    addresses: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            addresses.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except BaseException as error:
            addresses.set_exception(error)

    threading.Thread(target=ask, name="name resolution", daemon=True).start()
    try:
        return addresses.result(seconds)
    except TimeoutError:
        raise TimeoutError(f"no name server has answered within {seconds:g} s") from None


def open_connection(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Return a connection to the first address of the host that accepts one, which ``deadline`` watches.

    Raises ``OSError``.
    """
    refused: OSError | None = None
    for _, _, _, _, address in resolve(host, port, deadline.remaining):
        try:
            connection = socket.create_connection(address[:2], deadline.remaining)
        except OSError as error:
            refused = error
            continue
        deadline.watch(connection)
        return connection
    raise refused or OSError(f"{host} has no address")
