"""How long a call over HTTP waits for the store: not longer than its caller."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from readings.repositories import RepositoryUnavailableError
from readings.repositories.cancellation import cancel_when

ANSWER_SECONDS = 25.0
"""Below the half minute that proxies commonly wait, API Gateway among them."""


class CallerGoneError(RepositoryUnavailableError):
    """Nobody waits for the answer any more."""


class PatienceMiddleware:
    """What a call asks of the store ends when its caller has gone, or after :data:`ANSWER_SECONDS`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Let the call go on while somebody waits for it."""
        caller = request.META.get("gunicorn.socket")
        deadline = time.monotonic() + ANSWER_SECONDS

        def check() -> None:
            if time.monotonic() > deadline:
                raise RepositoryUnavailableError(
                    f"The store did not answer within {ANSWER_SECONDS:g} s."
                )
            if caller is not None and has_gone(caller):
                raise CallerGoneError("The caller has gone.")

        with cancel_when(check):
            return self._get_response(request)


def has_gone(caller: socket.socket) -> bool:
    """Whether the other side has closed the connection."""
    try:
        # Without waiting, whatever the socket's own time-out is.
        return caller.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
