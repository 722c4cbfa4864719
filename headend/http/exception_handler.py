"""The API's exception handler: every error becomes a JSON object ``{"error": "<one sentence>"}``."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    NotAuthenticated,
    ValidationError,
)
from rest_framework.response import Response
from rest_framework.views import set_rollback

from headend.config.database_errors import is_database_outage
from headend.http.request_deadline import CallerDisconnectedError
from readings.repository_errors import RepositoryUnavailableError

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
_NO_API_KEY = (
    "The API key is missing; send it in the header Authorization: Token <key>, or X-API-Key: <key>."
)


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response to ``error``, or None for an error that only a bug can cause.

    For None, Django answers with 500 and logs the traceback.
    """
    set_rollback()
    if isinstance(error, CallerDisconnectedError):
        log.info("caller disconnected")
        return _unavailable()
    if isinstance(error, RepositoryUnavailableError) or is_database_outage(error):
        log.error("repository or database unavailable", extra={"error": str(error)})
        return _unavailable()
    if isinstance(error, Http404):
        return Response({"error": "Not found."}, status=404)
    if isinstance(error, PermissionDenied):
        return Response({"error": "Permission denied."}, status=403)
    if isinstance(error, ValidationError):
        return Response(_validation_body(error.detail), status=400)
    if isinstance(error, APIException):
        return _api_error(error)
    return None


def _unavailable() -> Response:
    return Response(
        {"error": "A service that this API needs is unavailable; try again shortly."},
        status=503,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _api_error(error: APIException) -> Response:
    headers = {}
    if isinstance(error, NotAuthenticated | AuthenticationFailed):
        headers["WWW-Authenticate"] = "Token"
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(int(wait))
    sentence = _NO_API_KEY if isinstance(error, NotAuthenticated) else str(error.detail)
    return Response({"error": sentence}, status=error.status_code, headers=headers)


def _validation_body(detail: Any) -> dict[str, Any]:
    """Return one sentence for each wrong parameter, and ``fields`` if more than one is wrong."""
    if isinstance(detail, list):
        return {"error": str(detail[0])}
    fields = {name: _first_message(messages) for name, messages in detail.items()}
    sentences = [
        message if name in message or name == "non_field_errors" else f"{name}: {message}"
        for name, message in fields.items()
    ]
    body: dict[str, Any] = {"error": " ".join(sentences)}
    if len(fields) > 1:
        body["fields"] = fields
    return body


def _first_message(messages: Any) -> str:
    while isinstance(messages, list | dict):
        messages = next(iter(messages.values() if isinstance(messages, dict) else messages))
    return str(messages)
