"""The only writer of a status: one verb a function, each a compare-and-swap.

Every function says by its return value whether this caller's move was the one that
counted. Another worker may always have been first; then nothing is changed here.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from exports.delivery.transitions import arrange
from exports.models import ACTIVE, ExportPart, FileRequest, PartState, Status, Supplier

LONGEST_PAUSE = timedelta(seconds=60)
"""After a failed attempt; the first pause takes 2 s, each further one twice the one before."""
READINGS_A_SECOND = 100_000
"""What a request's turn counts a second for: far less than a worker writes, so that small ones pass."""

CANCELLED = "cancelled"


Pk = TypeVar("Pk", uuid.UUID, int)


@dataclass(frozen=True)
class Lease(Generic[Pk]):
    """One worker's claim on one row, good until its time has passed or the row has moved on."""

    pk: Pk
    token: uuid.UUID
    attempt: int


@dataclass(frozen=True)
class WrittenPart:
    """What a part has to tell of its bytes: where they are, how many, and its format's note of them."""

    path: str
    size: int
    note: Any


@dataclass(frozen=True)
class PublishedFile:
    """What is known of a file once it is whole."""

    location: str
    size: int
    sha256: str


def lease_time() -> timedelta:
    """How long a worker may be silent before its work is given to another."""
    return timedelta(seconds=settings.EXPORTS_LEASE_SECONDS)


def _free(now: datetime) -> Q:
    return Q(leased_until__isnull=True) | Q(leased_until__lt=now)


def suppliers_at_their_limit() -> QuerySet[FileRequest, dict[str, int]]:
    """Suppliers (``supplier``) that have as many requests running as they may; what they queued has to wait."""
    being_planned = Q(status=Status.QUEUED, leased_until__gt=timezone.now())
    running = Q(status__in=[Status.SUBMITTED, Status.RUNNING]) | being_planned
    limit = Coalesce(F("supplier__most_running"), settings.EXPORTS_RUNNING_PER_SUPPLIER)
    return (
        FileRequest.objects.filter(running)
        .order_by()
        .values("supplier")
        .annotate(running=Count("pk"))
        .filter(running__gte=limit)
        .values("supplier")
    )


def claim_for_planning(pk: uuid.UUID) -> Lease[uuid.UUID] | None:
    """Take a queued request, if nobody holds it and its supplier has not too many running."""
    with transaction.atomic():
        # Of two workers that plan for one supplier at once, the second sees what the first took.
        supplier = Supplier.objects.select_for_update(no_key=True).get(file_requests=pk)
        if suppliers_at_their_limit().filter(supplier=supplier).exists():
            return None
        return claim_request(pk, [Status.QUEUED])


def claim_request(pk: uuid.UUID, statuses: Sequence[Status]) -> Lease[uuid.UUID] | None:
    """Take a request that is in one of ``statuses``, held by nobody, and not tried too often."""
    now, token = timezone.now(), uuid.uuid4()
    rows = FileRequest.objects.filter(
        _free(now), pk=pk, status__in=statuses, attempts__lt=settings.EXPORTS_ATTEMPTS
    )
    if not rows.update(lease=token, leased_until=now + lease_time(), attempts=F("attempts") + 1):
        return None
    attempt = FileRequest.objects.values_list("attempts", flat=True).get(pk=pk)
    return Lease(pk, token, attempt)


def claim_part(pk: int) -> Lease[int] | None:
    """Take a part that is pending, held by nobody, and whose request is still wanted."""
    now, token = timezone.now(), uuid.uuid4()
    rows = ExportPart.objects.filter(
        _free(now),
        pk=pk,
        state=PartState.PENDING,
        attempts__lt=settings.EXPORTS_ATTEMPTS,
        request__status__in=[Status.SUBMITTED, Status.RUNNING],
    )
    if not rows.update(
        lease=token,
        leased_until=now + lease_time(),
        attempts=F("attempts") + 1,
        records_done=0,
        started_at=now,
    ):
        return None
    attempt = ExportPart.objects.values_list("attempts", flat=True).get(pk=pk)
    return Lease(pk, token, attempt)


def renew_request(lease: Lease[uuid.UUID]) -> bool:
    """Keep a claimed request; False when it was cancelled or given away."""
    rows = FileRequest.objects.filter(pk=lease.pk, lease=lease.token, status__in=ACTIVE)
    return bool(rows.update(leased_until=timezone.now() + lease_time()))


def renew_part(lease: Lease[int], *, records_done: int) -> bool:
    """Keep a claimed part and tell how far it is; False when it was cancelled or given away."""
    rows = ExportPart.objects.filter(
        pk=lease.pk, lease=lease.token, request__status__in=ACTIVE, state=PartState.PENDING
    )
    return bool(rows.update(leased_until=timezone.now() + lease_time(), records_done=records_done))


def release_request(lease: Lease[uuid.UUID], *, error: str) -> None:
    """Give a request back after a failed attempt; it can be taken again after a while."""
    FileRequest.objects.filter(pk=lease.pk, lease=lease.token, status__in=ACTIVE).update(
        lease=None, leased_until=_retry_at(lease), reason=error[:500]
    )


def release_part(lease: Lease[int], *, error: str) -> None:
    """Give a part back after a failed attempt; it can be taken again after a while."""
    ExportPart.objects.filter(pk=lease.pk, lease=lease.token).update(
        lease=None, leased_until=_retry_at(lease), error=error[:500]
    )


def _retry_at(lease: Lease[Pk]) -> datetime:
    return timezone.now() + min(LONGEST_PAUSE, timedelta(seconds=2**lease.attempt))


def submit(lease: Lease[uuid.UUID], *, snapshot: str, parts: list[ExportPart]) -> bool:
    """queued → submitted: the plan is made; its parts come into being with it."""
    records = sum(part.record_count for part in parts)
    now = timezone.now()
    with transaction.atomic():
        moved = FileRequest.objects.filter(
            pk=lease.pk, lease=lease.token, status=Status.QUEUED
        ).update(
            status=Status.SUBMITTED,
            submitted_at=now,
            turn_at=now + timedelta(seconds=records / READINGS_A_SECOND),
            snapshot=snapshot,
            record_count=records,
            lease=None,
            leased_until=None,
            attempts=0,
            reason="",
        )
        if moved:
            ExportPart.objects.bulk_create(parts)
    return bool(moved)


def run(pk: uuid.UUID) -> bool:
    """submitted → running: the first part is being written."""
    return bool(
        FileRequest.objects.filter(pk=pk, status=Status.SUBMITTED).update(
            status=Status.RUNNING, running_at=timezone.now()
        )
    )


def finish_part(lease: Lease[int], written: WrittenPart) -> bool:
    """pending → written, by the worker that still holds the part."""
    return bool(
        ExportPart.objects.filter(
            pk=lease.pk,
            lease=lease.token,
            state=PartState.PENDING,
            request__status=Status.RUNNING,
        ).update(
            state=PartState.WRITTEN,
            written_at=timezone.now(),
            lease=None,
            leased_until=None,
            records_done=F("record_count"),
            error="",
            path=written.path,
            size=written.size,
            note=written.note,
        )
    )


def complete(lease: Lease[uuid.UUID], file: PublishedFile) -> bool:
    """running → completed: the file is whole and in its place."""
    now = timezone.now()
    days = settings.EXPORTS_RETENTION_DAYS
    return _finish(
        lease.pk,
        FileRequest.objects.filter(lease=lease.token, status=Status.RUNNING),
        status=Status.COMPLETED,
        reason="",
        location=file.location,
        size=file.size,
        sha256=file.sha256,
        expires_at=now + timedelta(days=days) if days else None,
    )


def is_to_be_skipped(request: FileRequest) -> bool:
    """Whether the request's window is empty and this deployment answers that as the reference does."""
    return request.record_count == 0 and settings.EXPORTS_EMPTY_STATUS == Status.SKIPPED


def skip(lease: Lease[uuid.UUID]) -> bool:
    """running → skipped: there is nothing to make a file of."""
    return _finish(
        lease.pk,
        FileRequest.objects.filter(lease=lease.token, status=Status.RUNNING),
        status=Status.SKIPPED,
        reason="",
    )


def fail(pk: uuid.UUID, *, reason: str) -> bool:
    """Any active status → failed."""
    return _finish(
        pk,
        FileRequest.objects.filter(status__in=ACTIVE),
        status=Status.FAILED,
        reason=reason[:500],
    )


def cancel(pk: uuid.UUID) -> bool:
    """Any active status → failed, because somebody asked for it. Work under way stops at its next step."""
    return fail(pk, reason=CANCELLED)


def expire(pk: uuid.UUID) -> bool:
    """The file is no longer offered; the row stays completed and says since when."""
    return bool(
        FileRequest.objects.filter(pk=pk, status=Status.COMPLETED, expired_at__isnull=True).update(
            expired_at=timezone.now()
        )
    )


def _finish(
    pk: uuid.UUID, requests: QuerySet[FileRequest], *, status: Status, **values: object
) -> bool:
    """Make a request final, and with it what has to be brought to its supplier."""
    with transaction.atomic():
        finished = requests.filter(pk=pk).update(
            status=status, finished_at=timezone.now(), lease=None, leased_until=None, **values
        )
        if finished:
            arrange(pk, status)
    return bool(finished)
