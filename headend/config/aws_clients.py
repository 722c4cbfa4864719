"""Clients of AWS's services, or of servers with the same protocols, whose calls have a total deadline.

botocore's timeouts limit the pause between two bytes. A server that sends one byte before each timeout would hold a
thread for ever. So the connections of every client are shut down at a :class:`Deadline`. A call that is cut is not
retried. The deadline covers neither the resolution of the server's name nor a body that the caller reads later; see
:func:`read_body`.

Importing this module takes half a second, because it imports boto3. Modules that a deployment without AWS needs import
it when they create a client.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

import boto3
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

from headend.config.deadline import Deadline

_creating = threading.Lock()
"""boto3's default session is not safe for several threads."""
_calls = threading.local()
"""``deadline`` is the one of the call that the current thread makes."""


def create_client(service: str, *, seconds: float, **options: Any) -> Any:
    """Return ``boto3.client(service, **options)``. Each HTTP call of it takes ``seconds`` at most.

    A call that takes longer raises ``TimeoutError``.
    """
    with _creating:
        client = boto3.client(service, **options)
    return limit_calls(client, seconds)


def limit_calls(client: Any, seconds: float) -> Any:
    """Let each HTTP call of a client take ``seconds`` at most, and return the client. Repeating this has no effect."""
    # botocore has no public way to replace its session. The tests fail if a new version changes these attributes.
    endpoint = client._endpoint
    session = endpoint.http_session
    if not isinstance(session, LimitedSession):
        session._pool_classes_by_scheme = session._manager.pool_classes_by_scheme = _POOLS
        message = f"{client.meta.service_model.service_id} did not answer within {seconds:g} s."
        endpoint.http_session = LimitedSession(session, seconds, message)
    return client


class LimitedSession:
    """botocore's session of HTTP connections, with a deadline for each call."""

    def __init__(self, session: Any, seconds: float, message: str) -> None:
        self._session = session
        self._seconds = seconds
        self._message = message

    def send(self, request: Any) -> Any:
        """Send the request and return the response, with its body unless it is a stream.

        Raises ``TimeoutError`` at the deadline, and botocore's errors.
        """
        with Deadline(self._seconds, self._message) as deadline:
            _calls.deadline = deadline
            try:
                response = self._session.send(request)
            except Exception as error:
                if deadline.is_over:
                    raise TimeoutError(deadline.message) from error
                raise
            finally:
                _calls.deadline = None
        if deadline.is_over:
            # The end of the connection looks like the end of the response.
            raise TimeoutError(deadline.message)
        return response

    def close(self) -> None:
        """Close the connections that no call uses."""
        self._session.close()


def read_body(body: Any, seconds: float) -> bytes:
    """Return all bytes of an object's body. After ``seconds`` its connection is shut down, which ends the read early.

    So the caller must check the length. Raises botocore's and urllib3's errors.
    """
    timer = threading.Timer(max(0.0, seconds), _shut_down, [body])
    timer.daemon = True
    timer.start()
    try:
        data: bytes = body.read()
        return data
    finally:
        timer.cancel()


def _shut_down(body: Any) -> None:
    # The response may have ended meanwhile. Then it has no connection any more.
    with suppress(OSError, ValueError):
        body._raw_stream.shutdown()


class _Watched:
    """A connection that the deadline of the current thread's call shuts down."""

    sock: socket.socket | None

    def _new_conn(self) -> socket.socket:
        # Before the TLS handshake, which also takes as long as the server likes.
        connection: socket.socket = super()._new_conn()  # type: ignore[misc]
        _watch(connection)
        return connection

    def request(self, *args: Any, **options: Any) -> Any:
        """Send a request. The connection may be one that an earlier call opened."""
        if self.sock is not None:
            _watch(self.sock)
        return super().request(*args, **options)  # type: ignore[misc]


def _watch(connection: socket.socket) -> None:
    deadline: Deadline | None = getattr(_calls, "deadline", None)
    if deadline is not None:
        deadline.watch(connection)


class _Connection(_Watched, AWSHTTPConnection):  # type: ignore[misc] # botocore ships no types
    pass


class _TLSConnection(_Watched, AWSHTTPSConnection):  # type: ignore[misc] # botocore ships no types
    pass


class _Pool(AWSHTTPConnectionPool):  # type: ignore[misc] # botocore ships no types
    ConnectionCls = _Connection


class _TLSPool(AWSHTTPSConnectionPool):  # type: ignore[misc] # botocore ships no types
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}
