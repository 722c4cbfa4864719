"""Every error of the API as the contract has it: ``{"error": "<one sentence>"}``."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    NotAuthenticated,
    ValidationError,
)
from rest_framework.response import Response
from rest_framework.views import set_rollback

from headend.patience import CallerGoneError
from readings.repositories import RepositoryUnavailableError

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5

ErrorBody = inline_serializer(
    "Error",
    {
        "error": serializers.CharField(help_text="One sentence that names the parameter."),
        "fields": serializers.DictField(
            child=serializers.CharField(), required=False, help_text="Where several are wrong."
        ),
    },
)


def errors(*own: int) -> dict[int, Any]:
    """An operation's errors for the schema: those that every operation has, and its ``own``."""
    return dict.fromkeys((400, 401, 405, 503, *own), ErrorBody)


class Conflict(APIException):
    """The request contradicts an earlier one."""

    status_code = 409


class TooMany(APIException):
    """The caller has to wait."""

    status_code = 429
    wait = 30


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


def _page_or_json(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """HTML for a person's browser, the contract's JSON for everybody else."""
    if request.accepts("text/html") and "text/html" in request.headers.get("Accept", ""):
        return render(
            request, "error.html", {"sentence": sentence, "status": status}, status=status
        )
    return JsonResponse({"error": sentence}, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: what no view got to see, an unknown host among it."""
    return JsonResponse({"error": "The request cannot be understood."}, status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    return _page_or_json(request, 403, "This is not allowed.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's view for a form without its token."""
    return _page_or_json(
        request, 403, "The form is too old; go back, reload the page and try again."
    )


def locked_out(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """For who has guessed too often."""
    minutes = settings.AXES_COOLOFF_TIME // timedelta(minutes=1)
    answer = _page_or_json(
        request, 429, f"Too many attempts to log in; try again in {minutes} minutes."
    )
    answer["Retry-After"] = str(60 * minutes)
    return answer


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    return _page_or_json(request, 404, "There is nothing here.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: our fault; the log has the rest."""
    return JsonResponse({"error": "Something went wrong on our side."}, status=500)
