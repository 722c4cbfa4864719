"""The portal's answer if the database, the repository or a disk cannot be used.

It is a page with status 503, and one line in the log.

The API has its own answer: :mod:`headend.http.exception_handler`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from headend.config.database_errors import is_database_outage
from headend.portal.error_pages import unavailable
from readings.outages import is_outage

log = logging.getLogger(__name__)


class UnavailableMiddleware:
    """Answers 503 if a view raises an error of the database, the repository or a disk."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle the request."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Return the page for such an error, and None for any other: Django logs its traceback."""
        if not is_outage(error):
            return None
        log.error("a page cannot be shown", extra={"path": request.path, "error": str(error)})
        return unavailable(request, "database" if is_database_outage(error) else "readings")
