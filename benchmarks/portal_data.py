"""The database rows for the portal benchmark: interval totals and file requests of a month."""

from __future__ import annotations

import math
import uuid
from datetime import datetime, timedelta
from itertools import cycle

from exports.models import (
    Delivery,
    DeliveryAttempt,
    ExportPart,
    FileFetch,
    FileRequest,
    PartState,
    SftpSession,
    Status,
    Supplier,
)
from readings.models import IntervalTotals

_HISTORY = timedelta(days=30)
_STATUSES = [Status.COMPLETED] * 8 + [Status.FAILED, Status.SKIPPED]


def fill_totals(now: datetime, span: timedelta, interval: timedelta, meters: int) -> None:
    """Create complete interval totals of a time span before ``now``. Existing totals stay unchanged."""
    step = interval.total_seconds()
    newest = math.floor(now.timestamp() / step) * step
    IntervalTotals.objects.bulk_create(
        (
            IntervalTotals(
                time=datetime.fromtimestamp(newest - number * step, tz=now.tzinfo),
                readings=meters,
                late=number % 7,
                kw=6.0 * meters,
            )
            for number in range(int(span / interval))
        ),
        ignore_conflicts=True,
        batch_size=2_000,
    )


def fill_history(now: datetime, suppliers: int, requests: int) -> uuid.UUID:
    """Create file requests with parts, downloads, sessions and deliveries, spread over a month.

    Returns the id of a completed request.
    """
    created = Supplier.objects.bulk_create(Supplier(name=f"supplier-{n}") for n in range(suppliers))
    rows = [
        _request(now - _HISTORY * n / requests, supplier, status)
        for n, supplier, status in zip(
            range(requests), cycle(created), cycle(_STATUSES), strict=False
        )
    ]
    FileRequest.objects.bulk_create(rows, batch_size=500)
    for row in rows:
        # The model sets the time of creation; replace it.
        row.queued_at = row.submitted_at or now
    FileRequest.objects.bulk_update(rows, ["queued_at"], batch_size=500)
    completed = [row for row in rows if row.status == Status.COMPLETED]
    _fill_rows_of_completed(completed)
    return completed[0].pk


def _fill_rows_of_completed(completed: list[FileRequest]) -> None:
    """Create four parts, a download, a session and a delivery of two attempts for each completed request."""
    ExportPart.objects.bulk_create(
        (_part(row, n) for row in completed for n in range(4)), batch_size=500
    )
    FileFetch.objects.bulk_create((_fetch(row) for row in completed), batch_size=500)
    SftpSession.objects.bulk_create((_session(row) for row in completed), batch_size=500)
    deliveries = Delivery.objects.bulk_create(
        (
            Delivery(
                request=row,
                kind="webhook",
                state="delivered",
                finished_at=row.finished_at,
                attempts=2,
            )
            for row in completed
        ),
        batch_size=500,
    )
    DeliveryAttempt.objects.bulk_create(
        (
            DeliveryAttempt(
                delivery=delivery,
                number=n,
                target="https://example.com/",
                outcome="The receiver answered 200.",
            )
            for delivery in deliveries
            for n in (1, 2)
        ),
        batch_size=500,
    )


def _request(at: datetime, supplier: Supplier, status: Status) -> FileRequest:
    row = FileRequest(
        supplier=supplier, start=at - timedelta(days=1), end=at, status=status,
        submitted_at=at, running_at=at, finished_at=at + timedelta(seconds=9),
    )  # fmt: skip
    if status == Status.COMPLETED:
        row.location, row.sha256 = f"{row.pk}/run-1-part-r-00000.gz", "0" * 64
        row.size, row.record_count = 500_000_000, 14_400_000
    return row


def _part(row: FileRequest, number: int) -> ExportPart:
    return ExportPart(
        request=row, number=number, start=row.start, end=row.end, record_count=3_600_000,
        records_done=3_600_000, state=PartState.WRITTEN, path=f"p/{row.pk}/{number}", size=1, format_state={},
    )  # fmt: skip


def _fetch(row: FileRequest) -> FileFetch:
    at = row.finished_at or row.end
    return FileFetch(
        request=row, way="sftp", who="SHA256:x", peer="192.0.2.1", bytes_sent=row.size or 0,
        started_at=at, ended_at=at,
    )  # fmt: skip


def _session(row: FileRequest) -> SftpSession:
    at = row.finished_at or row.end
    return SftpSession(
        supplier=row.supplier, who="SHA256:x", peer="192.0.2.1", seen_at=at, ended_at=at
    )
