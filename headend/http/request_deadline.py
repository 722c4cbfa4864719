"""Cancel the repository's work for an HTTP request whose caller disconnected or that takes too long."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from readings.cancellation import cancel_when
from readings.repository_errors import RepositoryUnavailableError

DEADLINE_SECONDS = 25.0
"""Less than the timeout of many proxies: API Gateway closes a connection after 30 seconds."""
CONNECTION_KEY = "headend.connection"
"""The key of the WSGI environment under which the web server passes the caller's socket."""


class CallerDisconnectedError(RepositoryUnavailableError):
    """The caller has closed the connection before the response."""


class RequestDeadlineMiddleware:
    """Cancels a query when its caller has disconnected, or after :data:`DEADLINE_SECONDS`.

    The repository checks this between result pages. A cancelled query raises
    :class:`CallerDisconnectedError` or ``RepositoryUnavailableError``.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle the request under its deadline."""
        caller = request.META.get(CONNECTION_KEY)
        deadline = time.monotonic() + DEADLINE_SECONDS

        def check() -> None:
            if time.monotonic() > deadline:
                raise RepositoryUnavailableError(
                    f"The repository did not answer within {DEADLINE_SECONDS:g} s."
                )
            if caller is not None and is_disconnected(caller):
                raise CallerDisconnectedError("The caller has disconnected.")

        with cancel_when(check):
            return self._get_response(request)


def is_disconnected(connection: socket.socket) -> bool:
    """Return whether the other side has closed the connection. Reads no data and does not wait."""
    try:
        # MSG_DONTWAIT: independent of the socket's own timeout.
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
