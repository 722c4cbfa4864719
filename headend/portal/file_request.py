"""One file request: how it went, what it is made of, where its file went; ended or asked for again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from exports import file_requests
from exports.file_requests import QueueFullError
from exports.models import FileRequest, Status
from headend.portal.access import logged_in, staff_only, visible_requests
from headend.portal.file_requests import row_of

MOST_PARTS = 200
"""As many are shown one by one; of more, the first."""
_MAY_ACT = "exports.change_filerequest"


@dataclass(frozen=True)
class Step:
    """A state that a request has come to."""

    state: str
    at: datetime


@never_cache
@require_safe
@logged_in
def request_page(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """All there is to say of one request; htmx asks for what moves alone."""
    chosen = get_object_or_404(file_requests.with_progress(visible_requests(request.user)), pk=pk)
    template = (
        "portal/_file_request.html"
        if request.headers.get("HX-Request")
        else "portal/file_request.html"
    )
    return render(request, template, _shown(chosen))


@require_POST
@staff_only
@permission_required(_MAY_ACT, raise_exception=True)
def cancel(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """End a request that is not final."""
    if file_requests.cancel(get_object_or_404(FileRequest, pk=pk)):
        messages.success(request, "The request is cancelled; its supplier sees it as failed.")
    else:
        messages.info(request, "The request had ended before.")
    return redirect("request", pk)


@require_POST
@staff_only
@permission_required(_MAY_ACT, raise_exception=True)
def run_again(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Ask for the same window once more."""
    earlier = get_object_or_404(FileRequest.objects.select_related("supplier"), pk=pk)
    try:
        again = file_requests.run_again(earlier)
    except QueueFullError as error:
        messages.error(request, str(error))
        return redirect("request", pk)
    messages.success(request, "Asked for again, as a new request.")
    return redirect("request", again.pk)


def _shown(chosen: FileRequest) -> dict[str, Any]:
    parts = list(chosen.parts.order_by("number")[: MOST_PARTS + 1])
    fetches = chosen.fetches.all()[:50]
    deliveries = chosen.deliveries.prefetch_related("attempts")
    row = row_of(chosen)
    return {
        "chosen": chosen,
        "progress": row["progress"],
        "download": row["download"],
        "steps": _steps(chosen),
        "parts": parts[:MOST_PARTS],
        "more_parts": len(parts) > MOST_PARTS,
        "fetches": fetches,
        "deliveries": deliveries,
        "sftp": _sftp_line(chosen) if chosen.has_file else None,
    }


def _steps(chosen: FileRequest) -> list[Step]:
    known = [
        (Status.QUEUED, chosen.queued_at),
        (Status.SUBMITTED, chosen.submitted_at),
        (Status.RUNNING, chosen.running_at),
        (Status(chosen.status), chosen.finished_at),
    ]
    steps = [Step(state.value, at) for state, at in known if at is not None]
    if chosen.expired_at is not None:
        steps.append(Step("expired", chosen.expired_at))
    return steps


def _sftp_line(chosen: FileRequest) -> str:
    host, port = settings.SFTP_PUBLIC_HOST, settings.SFTP_PORT
    return f"sftp -i private.pem -P {port} {chosen.supplier.name}@{host}:{chosen.location} ."
