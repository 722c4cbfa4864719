"""Django's error views: an HTML page for a browser, the contract's JSON for every other client."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render


def _page_or_json(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """HTML for a person's browser, the contract's JSON for everybody else."""
    if request.accepts("text/html") and "text/html" in request.headers.get("Accept", ""):
        return render(
            request, "portal/error.html", {"sentence": sentence, "status": status}, status=status
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
