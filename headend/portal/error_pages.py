"""Django's error views: an HTML page for a browser, the API's JSON error for every other client."""

from __future__ import annotations

import math
from typing import Any

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    DisallowedHost,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from headend.portal.login_throttle import remaining_pause

RETRY_AFTER_SECONDS = 5

MAX_SHOWN_SECONDS = 120
"""Longer pauses are shown in minutes."""


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400, or 413 if the form is too large (Django's ``handler400``). For a refused Host, name the setting."""
    match exception:
        case DisallowedHost():
            host = request.META.get("HTTP_HOST", "")[:80]
            message = f"The host {host!r} is not allowed. The operator can add it to HEADEND_ALLOWED_HOSTS."
            return JsonResponse({"error": message}, status=400)
        case BadRequest():  # its message is a sentence of ours or of Django's
            return _page_or_json(request, 400, str(exception))
        case TooManyFieldsSent() | TooManyFilesSent():
            return _page_or_json(request, 400, "The request has too many fields.")
        case RequestDataTooBig():
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024
            return _page_or_json(request, 413, f"The form is larger than {limit} KiB.")
    return _page_or_json(request, 400, "The request cannot be understood.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403 (Django's ``handler403``)."""
    return _page_or_json(request, 403, "Permission denied.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404 (Django's ``handler404``)."""
    return _page_or_json(request, 404, "Not found.")


def unknown_meter(request: HttpRequest, device_id: str) -> HttpResponse:
    """Answer 404: no reading of the meter is stored."""
    return _page_or_json(request, 404, f"The meter {device_id} has no readings.")


def unavailable(request: HttpRequest, what: str) -> HttpResponse:
    """Answer 503: ``what`` cannot be read now. The error is in the log."""
    answer = _page_or_json(request, 503, f"The {what} cannot be read now. Try again shortly.")
    answer["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 in JSON (Django's ``handler500``). The exception is in the log."""
    return JsonResponse({"error": "Something went wrong on our side."}, status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form without a valid CSRF token (Django's ``CSRF_FAILURE_VIEW``)."""
    message = "This form has expired. Go back, reload the page and try again."
    if reason.startswith(("Origin checking failed", "Referer checking failed")):
        message = (
            "This form comes from another address than HEADEND_PUBLIC_URL, "
            f"{settings.HEADEND_PUBLIC_URL}. Open the portal there."
        )
    return _page_or_json(request, 403, message)


def locked_out(
    request: HttpRequest, response: HttpResponse, credentials: dict[str, Any] | None
) -> HttpResponse:
    """Answer 429 during the pause after failed logins (the lockout view of django-axes)."""
    seconds = max(1, math.ceil(remaining_pause(request, credentials).total_seconds()))
    minutes = math.ceil(seconds / 60)
    wait = f"{seconds} seconds" if seconds <= MAX_SHOWN_SECONDS else f"{minutes} minutes"
    answer = _page_or_json(request, 429, f"Too many failed logins. Try again in {wait}.")
    answer["Retry-After"] = str(seconds)
    return answer


def _page_or_json(request: HttpRequest, status: int, message: str) -> HttpResponse:
    """Return an HTML page if the client names HTML in its Accept header, else JSON."""
    if request.accepts("text/html") and "text/html" in request.headers.get("Accept", ""):
        context = {"message": message, "status": status}
        return render(request, "portal/error.html", context, status=status)
    return JsonResponse({"error": message}, status=status)
