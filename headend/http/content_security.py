"""Send the Content-Security-Policy with each response."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from headend.config.content_security import POLICY


class ContentSecurityMiddleware:
    """Adds the header ``Content-Security-Policy``. Django has such a middleware from version 6.0."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle the request."""
        response = self._get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response
