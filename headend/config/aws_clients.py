"""Clients of AWS's services, or of servers with the same protocols. Each of their calls has a total deadline.

botocore's timeouts limit the pause between two bytes. A server that sends one byte before each timeout could block a
thread forever. So a :class:`Deadline` shuts down the connection of a call that takes too long. Such a call is not
retried. The deadline covers neither the resolution of the server's name nor a body that the caller reads later; see
:func:`read_body`.

Importing this module takes half a second, because it imports boto3. Modules that a deployment without AWS needs import
it when they create a client.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import boto3
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

from headend.config.deadline import Deadline, WatchedConnection

_creating = threading.Lock()
"""boto3's default session is not safe for several threads."""
_calls = threading.local()
"""Of the current thread: ``deadline`` of its present call, and ``end``, which :func:`calls_end_by` sets."""


def create_client(service: str, *, seconds: float, **options: Any) -> Any:
    """Return ``boto3.client(service, **options)`` whose HTTP calls each take ``seconds`` at most.

    A call that takes longer raises ``TimeoutError``.
    """
    with _creating:
        client = boto3.client(service, **options)
    return limit_calls(client, seconds)


def limit_calls(client: Any, seconds: float) -> Any:
    """Limit each HTTP call of a client to ``seconds``, and return the client. A second limit has no effect."""
    # botocore has no public way to replace its session. The tests fail if a new version changes these attributes.
    endpoint = client._endpoint
    session = endpoint.http_session
    if not isinstance(session, LimitedSession):
        session._pool_classes_by_scheme = session._manager.pool_classes_by_scheme = _POOLS
        service = str(client.meta.service_model.service_id)
        endpoint.http_session = LimitedSession(session, seconds, service)
    return client


@contextmanager
def calls_end_by(end: float) -> Iterator[None]:
    """End the current thread's calls at ``end`` (of ``time.monotonic``) at the latest."""
    _calls.end = end
    try:
        yield
    finally:
        _calls.end = math.inf


class LimitedSession:
    """botocore's session of HTTP connections, with a deadline for each call to ``service``."""

    def __init__(self, session: Any, seconds: float, service: str) -> None:
        self._session = session
        self._seconds = seconds
        self._service = service

    def send(self, request: Any) -> Any:
        """Send the request and return the response, with its body unless it is a stream.

        Raises ``TimeoutError`` at the deadline, and botocore's errors.
        """
        left = getattr(_calls, "end", math.inf) - time.monotonic()
        seconds = min(self._seconds, max(0.0, left))
        message = f"{self._service} did not answer within {round(seconds, 1):g} s."
        with Deadline(seconds, message) as deadline:
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
            # A connection that was shut down looks like the end of the response.
            raise TimeoutError(deadline.message)
        return response

    def close(self) -> None:
        """Close the connections that no call uses."""
        self._session.close()


def read_body(body: Any, seconds: float) -> bytes:
    """Return the bytes of an object's body. After ``seconds`` its connection is shut down, and the rest is missing.

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
    # A response that has ended has no connection.
    with suppress(OSError, ValueError):
        body._raw_stream.shutdown()


class _SharedConnection(WatchedConnection):
    """A connection that the deadline of the current thread's call shuts down."""

    sock: socket.socket | None

    def current_deadline(self) -> Deadline | None:
        """Return the deadline of the current thread's call."""
        deadline: Deadline | None = getattr(_calls, "deadline", None)
        return deadline

    def request(self, *args: Any, **options: Any) -> Any:
        """Send a request. The connection may be one that an earlier call opened."""
        if self.sock is not None:
            self._watch(self.sock)
        # Each class that uses this mixin also inherits botocore's connection, which has the method.
        return super().request(*args, **options)  # type: ignore[misc]


class _Connection(_SharedConnection, AWSHTTPConnection):  # type: ignore[misc] # botocore ships no types
    pass


class _TLSConnection(_SharedConnection, AWSHTTPSConnection):  # type: ignore[misc] # botocore ships no types
    pass


class _Pool(AWSHTTPConnectionPool):  # type: ignore[misc] # botocore ships no types
    ConnectionCls = _Connection


class _TLSPool(AWSHTTPSConnectionPool):  # type: ignore[misc] # botocore ships no types
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}
