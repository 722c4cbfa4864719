"""The only writer of a delivery's state and of its attempts. Each function is one transition.

Deliveries are created in the transaction that makes their request final.
"""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from exports.leases.model import NO_LEASE, Lease, LeasedQuerySet, is_held
from exports.models import (
    MAX_REASON_LENGTH,
    Delivery,
    DeliveryAttempt,
    DeliveryKind,
    DeliveryState,
    FileRequest,
    PushTarget,
    Status,
    Supplier,
    Webhook,
)

MAX_RUNNING = 2
"""How many deliveries of one supplier run at once: half of the threads of ``make run``. Others find a free thread."""
_IS_PAUSED = Q(state=DeliveryState.PENDING, lease__isnull=True, leased_until__isnull=False)


def schedule_deliveries(request_id: uuid.UUID, status: str) -> None:
    """Create the deliveries of a request that has just got the final ``status``.

    A webhook call for every final status, a push only for a completed file; each only if the supplier
    has an active target for it. Runs in the transaction of the caller.
    """
    supplier = FileRequest.objects.values_list("supplier", flat=True).get(pk=request_id)
    kinds = []
    if (
        status == Status.COMPLETED
        and PushTarget.objects.filter(supplier=supplier, active=True).exists()
    ):
        kinds.append(DeliveryKind.PUSH)
    if Webhook.objects.filter(supplier=supplier, active=True).exists():
        kinds.append(DeliveryKind.WEBHOOK)
    Delivery.objects.bulk_create(Delivery(request_id=request_id, kind=kind) for kind in kinds)


def due() -> LeasedQuerySet[Delivery]:
    """Return the pending deliveries that can be attempted now, oldest first.

    Those of inactive suppliers wait until the supplier is active again.
    """
    # Not a join: claim() updates these rows, and PostgreSQL then checks the row's own columns again.
    active = FileRequest.objects.filter(pk=OuterRef("request"), supplier__active=True)
    pending = Delivery.objects.free().filter(Exists(active), state=DeliveryState.PENDING)
    return pending.order_by("created_at")


def running() -> QuerySet[Delivery]:
    """Return the deliveries that a worker holds, without an order."""
    return Delivery.objects.filter(is_held(), state=DeliveryState.PENDING).order_by()


def claim(pk: uuid.UUID) -> Lease[uuid.UUID] | None:
    """Claim a delivery that is due, and start an attempt.

    Return None if it is not due any more, or if :data:`MAX_RUNNING` deliveries of its supplier run.
    """
    requests = FileRequest.objects.filter(deliveries=pk)
    with transaction.atomic():
        # The lock lets simultaneous claims for one supplier wait for each other, so that each counts the others.
        # SQLite has no such locks: it executes one transaction that writes after the other.
        suppliers = Supplier.objects.filter(pk__in=requests.values("supplier"))
        supplier = suppliers.select_for_update(no_key=True).first()
        if running().filter(request__supplier=supplier).count() >= MAX_RUNNING:
            return None
        lease = due().claim(pk)
        if lease is not None:
            DeliveryAttempt.objects.create(delivery_id=pk, number=lease.attempt)
    return lease


def retry(pk: uuid.UUID) -> bool:
    """failed → pending, or end of a pause: an operator wants another attempt now.

    Return False if no attempt has failed, or one is running. Attempts are not counted from 1 again. A delivery
    that has used all its attempts gets one more.
    """
    retriable = Delivery.objects.filter(Q(state=DeliveryState.FAILED) | _IS_PAUSED, pk=pk)
    return bool(retriable.update(state=DeliveryState.PENDING, finished_at=None, **NO_LEASE))


def end_pause_of_push(request_id: uuid.UUID) -> None:
    """End the pause of the request's push after a failed attempt: its file can be read again."""
    pushes = Delivery.objects.filter(_IS_PAUSED, request=request_id, kind=DeliveryKind.PUSH)
    pushes.update(**NO_LEASE)


def renew(lease: Lease[uuid.UUID]) -> bool:
    """Renew the lease of a delivery. Return False if the lease is lost."""
    return Delivery.objects.filter(state=DeliveryState.PENDING).renew(lease)


def is_revoked(delivery: Delivery) -> bool:
    """Return whether the delivery must stop: its supplier or its target is inactive or was deleted."""
    targets = PushTarget if delivery.kind == DeliveryKind.PUSH else Webhook
    target = targets._default_manager.filter(
        active=True, supplier__active=True, supplier__file_requests=delivery.request_id
    )
    return not target.exists()


def record_target(lease: Lease[uuid.UUID], *, target: str) -> None:
    """Record which server or URL this attempt delivers to."""
    _attempt(lease).update(target=target)


def succeed(lease: Lease[uuid.UUID], outcome: str) -> None:
    """pending → delivered: this attempt succeeded."""
    _finish(lease, outcome, DeliveryState.DELIVERED)


def fail(lease: Lease[uuid.UUID], outcome: str) -> None:
    """pending → failed: this attempt failed, and a retry cannot succeed."""
    _finish(lease, outcome, DeliveryState.FAILED)


def release(lease: Lease[uuid.UUID], outcome: str) -> None:
    """Record a failed attempt. The delivery is due again after a pause; after the last attempt it fails."""
    if lease.attempt > len(Delivery.pauses):
        fail(lease, outcome)
        return
    with transaction.atomic():
        _end_attempt(lease, outcome, succeeded=False)
        pending = Delivery.objects.filter(state=DeliveryState.PENDING)
        pending.release(lease, pause=Delivery.pauses[lease.attempt - 1])


def give_back(lease: Lease[uuid.UUID], outcome: str) -> None:
    """End an attempt that the worker could not finish. The delivery is due again at once."""
    with transaction.atomic():
        _end_attempt(lease, outcome, succeeded=False)
        Delivery.objects.held_by(lease).filter(state=DeliveryState.PENDING).update(**NO_LEASE)


def _finish(lease: Lease[uuid.UUID], outcome: str, state: DeliveryState) -> None:
    with transaction.atomic():
        _end_attempt(lease, outcome, succeeded=state == DeliveryState.DELIVERED)
        Delivery.objects.held_by(lease).filter(state=DeliveryState.PENDING).update(
            state=state, finished_at=timezone.now(), **NO_LEASE
        )


def _end_attempt(lease: Lease[uuid.UUID], outcome: str, *, succeeded: bool) -> None:
    _attempt(lease).update(
        ended_at=timezone.now(), succeeded=succeeded, outcome=outcome[:MAX_REASON_LENGTH]
    )


def _attempt(lease: Lease[uuid.UUID]) -> QuerySet[DeliveryAttempt]:
    return DeliveryAttempt.objects.filter(delivery=lease.pk, number=lease.attempt)
