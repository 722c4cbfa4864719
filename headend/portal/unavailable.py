"""The portal's answer if the database, the repository or a disk cannot be used: a page with status 503.

The log gets one line. The answer of the API is in :mod:`headend.http.exception_handler`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
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
        """Return the answer to such an error. Return None for any other error: Django then logs its traceback."""
        return answer_to_outage(request, error)


class AvailableSessionMiddleware(SessionMiddleware):
    """Django's sessions. If a session cannot be stored now, the answer is 503; Django's would be 400 or 500."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Store the session, if it has changed."""
        try:
            return super().process_response(request, response)
        except Exception as error:
            outage = _cause(error)
            if outage is None:
                raise
            response.close()
            return _answer(request, outage)


def answer_to_outage(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """Return the answer 503 to an error of the database, the repository or a disk; None for any other error."""
    return _answer(request, error) if is_outage(error) else None


def _cause(error: BaseException) -> Exception | None:
    """Return the outage of the database that caused ``error``, or ``error`` itself if it is one; otherwise None."""
    cause: BaseException | None = error
    while isinstance(cause, SessionInterrupted | UpdateError):
        cause = cause.__cause__ or cause.__context__
    return cause if isinstance(cause, Exception) and is_database_outage(cause) else None


def _answer(request: HttpRequest, error: Exception) -> HttpResponse:
    log.error("a page cannot be shown", extra={"path": request.path, "error": str(error)})
    return unavailable(request, "database" if is_database_outage(error) else "readings")
