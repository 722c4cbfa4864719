"""One log line a call: what was asked for, by whom, how it ended and how long that took."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from exports.models import Supplier

log = logging.getLogger("headend.http")

_ASKED_BY_MACHINES = ("/health/", "/metrics", "/static/")


class AccessLogMiddleware:
    """Writes the path without its query, where signatures and positions stand."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Let the call go on, and write it down when its answer begins."""
        began = time.monotonic()
        response = self._get_response(request)
        level = logging.DEBUG if request.path.startswith(_ASKED_BY_MACHINES) else logging.INFO
        line = {
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "milliseconds": round((time.monotonic() - began) * 1000),
        }
        user = getattr(request, "user", None)
        # Not isinstance: that would fetch the session of a user whom nobody has asked for.
        if type(user) is Supplier:
            line["supplier"] = user.name
        log.log(level, "call", extra=line)
        return response
