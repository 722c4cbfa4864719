"""The access log: one line for each HTTP request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from exports.models import Supplier
from headend.http.caller_address import caller_address

log = logging.getLogger("headend.http")

_MACHINE_PATHS = ("/health/", "/metrics", "/static/")
"""Paths that machines request again and again. These requests are logged at level DEBUG."""


class AccessLogMiddleware:
    """Logs method, path, status, duration, supplier and the caller's address of each request.

    The query string is left out, because it can contain signatures.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle the request and log it when its response begins."""
        started = time.monotonic()
        response = self._get_response(request)
        level = logging.DEBUG if request.path_info.startswith(_MACHINE_PATHS) else logging.INFO
        fields: dict[str, Any] = {
            "method": request.method,
            "path": request.path_info,
            "status": response.status_code,
            "milliseconds": round((time.monotonic() - started) * 1000),
            "peer": caller_address(request),
        }
        user = getattr(request, "user", None)
        # isinstance() would evaluate Django's lazy user, and so load the session, which no view needed.
        if type(user) is Supplier:
            fields["supplier"] = user.name
        log.log(level, "call", extra=fields)
        return response
