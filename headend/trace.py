"""The trace id, which follows one HTTP request or SFTP connection through all processes and logs.

Log records have it as ``trace``. The log field ``request`` is something else: the id of a file request.
The current trace id is a context variable, so each thread has its own.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "X-Request-Id"
"""The HTTP header that carries the id in requests and responses."""
_VALID = re.compile(r"[!-~]{1,128}")

_current: ContextVar[str | None] = ContextVar("trace_id", default=None)


def begin(trace_id: str | None = None) -> str:
    """Set the current trace id and return it.

    ``trace_id`` is used if it has 1 to 128 printable ASCII characters without spaces. Otherwise a new id of
    32 hexadecimal digits is generated.
    """
    if trace_id is None or not _VALID.fullmatch(trace_id):
        # Not uuid4(): it makes a system call, and then waits for Python's interpreter lock.
        trace_id = f"{random.getrandbits(128):032x}"
    _current.set(trace_id)
    return trace_id


def current() -> str | None:
    """Return the current trace id; None outside of requests, connections and tasks."""
    return _current.get()


def end() -> None:
    """Clear the current trace id."""
    _current.set(None)


class TraceMiddleware:
    """Begins a trace with the id that the caller sent, or with a new one, and returns the id in a header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle the request under its trace id."""
        # `request.headers` would read all headers to find one.
        trace_id = begin(request.META.get("HTTP_X_REQUEST_ID"))
        response = self._get_response(request)
        response[HEADER] = trace_id
        return response


class TraceFilter(logging.Filter):
    """Adds the current trace id to every log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Set ``record.trace`` and let the record pass."""
        record.trace = current()
        return True


# The middleware cannot do this: the body of a streamed response is sent and logged after it returns.
@receiver(request_finished)
def _end_after_response(**_: Any) -> None:
    end()
