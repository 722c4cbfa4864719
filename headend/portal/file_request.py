"""The page of one file request, and its actions: cancel it, or request the same readings again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models.functions import Substr
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from exports import file_requests
from exports.file_requests import QueueFullError, SupplierInactiveError
from exports.models import SEPARATOR, DeliveryState, FileRequest, MeterList, Status
from headend.portal.access import login_required, staff_required, visible_requests
from headend.portal.file_requests import table_row
from headend.portal.htmx import page_or_fragment
from readings.columns import parse_columns
from readings.device_ids import MAX_LENGTH

MAX_PARTS = 200
"""The page lists this many parts; the admin lists all of them."""
MAX_DOWNLOADS = 50
MAX_METERS = 5
"""The page lists this many of the meters that the request names."""
_CHANGE_PERMISSION = "exports.change_filerequest"


@dataclass(frozen=True)
class TimelineEntry:
    """A status of the request and when it began."""

    status: str
    time: datetime


@never_cache
@require_safe
@login_required
def file_request_page(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show a file request that the user may see; 404 for every other."""
    visible = file_requests.with_progress(visible_requests(request.user))
    file_request = get_object_or_404(visible, pk=pk)
    template = page_or_fragment(request, "portal/file_request.html", "portal/_file_request.html")
    return render(request, template, _context(file_request))


@require_POST
@staff_required(_CHANGE_PERMISSION)
def cancel_file_request(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Cancel a file request that has no final status."""
    if file_requests.cancel(get_object_or_404(FileRequest, pk=pk)):
        messages.success(request, "File request cancelled. The supplier sees it as failed.")
    else:
        messages.info(request, "Nothing to cancel: the file request is finished.")
    return redirect("file-request", pk)


@require_POST
@staff_required(_CHANGE_PERMISSION)
def repeat_file_request(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Create a new file request for the same supplier, window and format."""
    original = get_object_or_404(FileRequest.objects.select_related("supplier"), pk=pk)
    try:
        new = file_requests.request_again(original)
    except (QueueFullError, SupplierInactiveError) as error:
        messages.error(request, str(error))
        return redirect("file-request", pk)
    messages.success(request, "File request created.")
    return redirect("file-request", new.pk)


def _context(file_request: FileRequest) -> dict[str, Any]:
    # One part more than the page shows, to know whether there are more.
    parts = list(file_request.parts.order_by("number")[: MAX_PARTS + 1])
    row = table_row(file_request)
    deliveries = list(file_request.deliveries.prefetch_related("attempt_log"))
    return {
        "file_request": file_request,
        "progress": row["progress"],
        "download": row["download"],
        "timeline": _timeline(file_request),
        "first_meters": _first_meters(file_request),
        "column_names": parse_columns(file_request.columns) if file_request.columns else None,
        "parts": parts[:MAX_PARTS],
        "more_parts": len(parts) > MAX_PARTS,
        "downloads": file_request.fetches.all()[:MAX_DOWNLOADS],
        "back": reverse("file-request", args=[file_request.pk]),
        "deliveries": deliveries,
        "refreshes": not file_request.is_final
        or any(each.state == DeliveryState.PENDING for each in deliveries),
        "sftp_command": _sftp_command(file_request) if file_request.has_file else None,
    }


def _first_meters(file_request: FileRequest) -> list[str]:
    """Return the first meters that the request names. The database sends only these, as the list can have 2 MB."""
    if file_request.meter_list_id is None:
        return []
    enough = Substr("device_ids", 1, MAX_METERS * (MAX_LENGTH + 1))
    stored = MeterList.objects.filter(pk=file_request.meter_list_id)
    text: str = stored.values_list(enough, flat=True).get()
    return text.split(SEPARATOR)[:MAX_METERS]


def _timeline(file_request: FileRequest) -> list[TimelineEntry]:
    times = [
        (Status.QUEUED.value, file_request.queued_at),
        (Status.SUBMITTED.value, file_request.submitted_at),
        (Status.RUNNING.value, file_request.running_at),
        (Status(file_request.status).value, file_request.finished_at),
        ("damaged", file_request.damaged_at),
        ("removed" if file_request.is_file_removed else "expired", file_request.expired_at),
    ]
    return [TimelineEntry(status, time) for status, time in times if time is not None]


def _sftp_command(file_request: FileRequest) -> str:
    """Return the shell command that downloads the file."""
    user, host = file_request.supplier.name, settings.SFTP_PUBLIC_HOST
    return f"sftp -i private.pem -P {settings.SFTP_PORT} {user}@{host}:{file_request.location} ."
