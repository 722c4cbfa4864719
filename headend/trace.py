"""The id that goes with one call, or one SFTP connection, through every process that works for it.

The logs carry it as ``trace``: ``request`` there is the id of a file request.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "X-Request-Id"
_WELL_FORMED = re.compile(r"[!-~]{1,128}")

_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def begin(given: str | None = None) -> str:
    """What this thread does from now on goes under ``given``, or under a new id if that is not well-formed."""
    well_formed = given is not None and _WELL_FORMED.fullmatch(given)
    request_id = given if given and well_formed else uuid.uuid4().hex
    _current.set(request_id)
    return request_id


def current() -> str | None:
    """The id that this thread works under."""
    return _current.get()


def end() -> None:
    """What this thread does next belongs to nothing yet."""
    _current.set(None)


class RequestIdMiddleware:
    """Takes the caller's id, or makes one, and answers with it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Let the call go on under its id."""
        request_id = begin(request.headers.get(HEADER))
        response = self._get_response(request)
        response[HEADER] = request_id
        return response


class Trace(logging.Filter):
    """Puts the id on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record passes."""
        record.trace = current()
        return True


# Not at the end of the middleware: a body that is streamed is sent, and noted, after that.
@receiver(request_finished)
def _end_with_the_response(**_: Any) -> None:
    end()
