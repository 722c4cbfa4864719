"""DRF's exception handler: every error of the API in the contract's form."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    NotAuthenticated,
    ValidationError,
)
from rest_framework.response import Response
from rest_framework.views import set_rollback

from headend.http.request_deadline import CallerGoneError
from readings.repositories import RepositoryUnavailableError

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: the error as a response, or None for what is a bug of ours."""
    set_rollback()
    if isinstance(error, CallerGoneError):
        log.info("the caller has gone before the answer")
        return _unavailable()
    if isinstance(error, RepositoryUnavailableError | OperationalError | InterfaceError):
        log.error("a store cannot be reached", exc_info=error)
        return _unavailable()
    if isinstance(error, Http404):
        return Response({"error": "There is nothing here."}, status=404)
    if isinstance(error, PermissionDenied):
        return Response({"error": "This is not allowed."}, status=403)
    if isinstance(error, ValidationError):
        return Response(_invalid(error.detail), status=400)
    if isinstance(error, APIException):
        return _refused(error)
    return None


def _unavailable() -> Response:
    return Response(
        {"error": "A store behind this service cannot be reached; try again shortly."},
        status=503,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _refused(error: APIException) -> Response:
    headers = {}
    if isinstance(error, NotAuthenticated | AuthenticationFailed):
        headers["WWW-Authenticate"] = "Token"
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(int(wait))
    return Response({"error": str(error.detail)}, status=error.status_code, headers=headers)


def _invalid(detail: Any) -> dict[str, Any]:
    """One sentence, and the fields where several are wrong."""
    if isinstance(detail, list):
        return {"error": str(detail[0])}
    fields = {name: _first(problems) for name, problems in detail.items()}
    sentences = [
        message if name in message or name == "non_field_errors" else f"{name}: {message}"
        for name, message in fields.items()
    ]
    body: dict[str, Any] = {"error": " ".join(sentences)}
    if len(fields) > 1:
        body["fields"] = fields
    return body


def _first(problems: Any) -> str:
    while isinstance(problems, list | dict):
        problems = next(iter(problems.values() if isinstance(problems, dict) else problems))
    return str(problems)
