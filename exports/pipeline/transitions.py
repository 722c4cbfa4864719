"""The only writer of a request's status and of a part's state. Each function is one transition.

Each transition is a guarded ``UPDATE``. It returns True if it changed the row, and False if another
worker or an operator was faster; then nothing has changed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, QuerySet
from django.utils import timezone

from exports.delivery.transitions import end_pause_of_push, schedule_deliveries
from exports.leases.model import NO_LEASE, Lease
from exports.models import (
    ACTIVE,
    IS_FILE_KEPT,
    MAX_REASON_LENGTH,
    ExportPart,
    FileRemoval,
    FileRequest,
    FileVerification,
    PartState,
    Status,
)

READINGS_PER_PRIORITY_SECOND = 100_000
"""How many readings of a request move its priority back by one second.

Far fewer than a worker writes in a second, so that small requests overtake large ones.
"""

CANCELLED = "cancelled"
"""The reason of a request that was cancelled. The API returns it."""


@dataclass(frozen=True)
class WrittenPart:
    """A part in the export store: its name there, its size in bytes, and its format state."""

    path: str
    size: int
    format_state: Any


@dataclass(frozen=True)
class PublishedFile:
    """A complete file: its location, its size in bytes, and its SHA-256 in hexadecimal."""

    location: str
    size: int
    sha256: str


def submit(lease: Lease[uuid.UUID], *, snapshot: str, parts: list[ExportPart]) -> bool:
    """queued → submitted: the request is planned. Saves its parts and releases the lease."""
    records = sum(part.record_count for part in parts)
    now = timezone.now()
    with transaction.atomic():
        moved = FileRequest.objects.held_by(lease).filter(status=Status.QUEUED).update(
            status=Status.SUBMITTED,
            submitted_at=now,
            priority_at=now + timedelta(seconds=records / READINGS_PER_PRIORITY_SECOND),
            snapshot=snapshot,
            record_count=records,
            attempts=0,
            reason="",
            **NO_LEASE,
        )  # fmt: skip
        if moved:
            ExportPart.objects.bulk_create(parts)
    return bool(moved)


def run(pk: uuid.UUID) -> bool:
    """submitted → running: a worker has started to write the first part."""
    submitted = FileRequest.objects.filter(pk=pk, status=Status.SUBMITTED)
    return bool(submitted.update(status=Status.RUNNING, running_at=timezone.now()))


def finish_part(lease: Lease[int], written: WrittenPart) -> bool:
    """pending → written, if the worker still holds the part. Releases the lease."""
    # Without a join; see exports.pipeline.queue.
    running = FileRequest.objects.filter(status=Status.RUNNING)
    pending = ExportPart.objects.filter(state=PartState.PENDING, request__in=running)
    return bool(
        pending.held_by(lease).update(
            state=PartState.WRITTEN,
            written_at=timezone.now(),
            records_done=F("record_count"),
            error="",
            path=written.path,
            size=written.size,
            format_state=written.format_state,
            **NO_LEASE,
        )
    )


def complete(lease: Lease[uuid.UUID], file: PublishedFile) -> bool:
    """running → completed: the file is visible under its final name."""
    days = settings.EXPORTS_RETENTION_DAYS
    return _finish(
        lease.pk,
        FileRequest.objects.held_by(lease).filter(status=Status.RUNNING),
        status=Status.COMPLETED,
        reason="",
        location=file.location,
        size=file.size,
        sha256=file.sha256,
        expires_at=timezone.now() + timedelta(days=days) if days else None,
    )


def should_skip(request: FileRequest) -> bool:
    """Return whether the request ends as ``skipped``: its window is empty, and ``EXPORTS_EMPTY_STATUS`` says so."""
    return request.record_count == 0 and settings.EXPORTS_EMPTY_STATUS == Status.SKIPPED


def skip(lease: Lease[uuid.UUID]) -> bool:
    """running → skipped: the window has no readings."""
    return _finish(
        lease.pk,
        FileRequest.objects.held_by(lease).filter(status=Status.RUNNING),
        status=Status.SKIPPED,
        reason="",
    )


def fail(pk: uuid.UUID, *, reason: str) -> bool:
    """Any active status → failed, whether or not a worker holds the request."""
    return _finish(
        pk,
        FileRequest.objects.filter(status__in=ACTIVE),
        status=Status.FAILED,
        reason=reason[:MAX_REASON_LENGTH],
    )


def cancel(pk: uuid.UUID) -> bool:
    """Any active status → failed, with the reason ``cancelled``. Workers notice it at their next heartbeat."""
    return fail(pk, reason=CANCELLED)


def expire(pk: uuid.UUID) -> bool:
    """Stop offering the file of a completed request. The status stays ``completed``, and ``expired_at`` is set."""
    with_file = FileRequest.objects.filter(IS_FILE_KEPT, pk=pk)
    return bool(with_file.update(expired_at=timezone.now()))


def remove_file(pk: uuid.UUID, *, who: str, peer: str) -> bool:
    """Hide the file of a completed request, and record that its supplier removed it. Return False if there is no file.

    The status stays ``completed``. The retention time ends now, so the file is deleted as an expired one is.
    """
    now = timezone.now()
    with transaction.atomic():
        with_file = FileRequest.objects.filter(IS_FILE_KEPT, pk=pk)
        removed = with_file.update(expires_at=now, expired_at=now)
        if removed:
            FileRemoval.objects.create(request_id=pk, who=who, peer=peer, at=now)
    return bool(removed)


def record_verification(lease: Lease[int], pk: uuid.UUID, *, damage: str, pause: timedelta) -> bool:
    """Record that the stored file was compared with its checksum. Return whether it has become damaged or was restored.

    ``damage`` is a sentence that says what is wrong. Then the file cannot be downloaded, and it is verified again after
    ``pause``. If ``damage`` is empty, the file is available, and its push continues if the file was restored. Nothing
    changes if the worker has lost the ``lease`` of the verification.
    """
    now = timezone.now()
    kept = _verified_file(lease, pk)
    with transaction.atomic():
        changed = kept.filter(damaged_at__isnull=bool(damage)).update(
            damaged_at=now if damage else None
        )
        kept.update(
            verified_at=now,
            verify_after=now + pause if damage else None,
            damage=damage[:MAX_REASON_LENGTH],
        )
        if changed and not damage:
            end_pause_of_push(pk)
    return bool(changed)


def postpone_verification(lease: Lease[int], pk: uuid.UUID, *, pause: timedelta) -> bool:
    """Record that the stored file could not be read. It is verified again after ``pause``.

    A file that was damaged before stays damaged, and every other file stays available.
    """
    return bool(_verified_file(lease, pk).update(verify_after=timezone.now() + pause))


def _verified_file(lease: Lease[int], pk: uuid.UUID) -> QuerySet[FileRequest]:
    is_held = Exists(FileVerification.objects.held_by(lease))
    return FileRequest.objects.filter(IS_FILE_KEPT, is_held, pk=pk)


def _finish(
    pk: uuid.UUID, requests: QuerySet[FileRequest], *, status: Status, **values: object
) -> bool:
    """Move the request to a final status, and schedule its deliveries in the same transaction."""
    with transaction.atomic():
        finished = requests.filter(pk=pk).update(
            status=status, finished_at=timezone.now(), **NO_LEASE, **values
        )
        if finished:
            schedule_deliveries(pk, status)
    return bool(finished)
