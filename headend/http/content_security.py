"""Send the headers that protect the content of each response."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

# Pages load scripts, styles and images from this site only, and contain no inline scripts or styles.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""The value of the header ``Content-Security-Policy``."""


class ContentSecurityMiddleware:
    """Adds the header ``Content-Security-Policy``, and ``Cache-Control`` if the view did not set it.

    A shared cache, such as a CDN, must not send the response to one supplier to another. Without the header, some caches
    store each response for a day, and do not compare ``X-API-Key``. Django has a middleware for the policy from version 6.0.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle the request."""
        response = self._get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers.setdefault("Cache-Control", "private")
        return response
