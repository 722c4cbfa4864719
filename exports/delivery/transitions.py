"""The only writer of a delivery's state. A delivery is made in the transaction that makes its request final."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from exports.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryKind,
    DeliveryState,
    FileRequest,
    PushTarget,
    Status,
    Webhook,
)

PAUSES = [
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
]
"""After each try that failed; the one after the last is not made."""


def arrange(request_id: uuid.UUID, status: str) -> None:
    """Make what a request that has just become final has to be brought, within its transaction."""
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


def due() -> QuerySet[Delivery]:
    """What could be tried now, oldest first."""
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=timezone.now())
    return Delivery.objects.filter(free, state=DeliveryState.PENDING).order_by("created_at")


def claim(pk: uuid.UUID) -> DeliveryAttempt | None:
    """Take a delivery that is due, and begin a try of it; None when another was first."""
    with transaction.atomic():
        taken = due().filter(pk=pk).update(
            lease=uuid.uuid4(), leased_until=_lease_end(), tries=F("tries") + 1
        )  # fmt: skip
        if not taken:
            return None
        delivery = Delivery.objects.select_related("request__supplier").get(pk=pk)
        return DeliveryAttempt.objects.create(delivery=delivery, number=delivery.tries)


def try_again(pk: uuid.UUID) -> bool:
    """Have a delivery that was given up tried once more; failed → pending, False when it had not failed."""
    failed = Delivery.objects.filter(pk=pk, state=DeliveryState.FAILED)
    return bool(failed.update(state=DeliveryState.PENDING, finished_at=None))


def renew(delivery: Delivery) -> bool:
    """Keep a delivery that is being tried; False when it was given away."""
    return bool(_held(delivery).update(leased_until=_lease_end()))


def end(attempt: DeliveryAttempt, outcome: str, *, last: bool, succeeded: bool = False) -> None:
    """Note what came of a try, and whether there will be another; pending → delivered or failed if not."""
    now = timezone.now()
    delivery = attempt.delivery
    with transaction.atomic():
        DeliveryAttempt.objects.filter(pk=attempt.pk).update(
            ended_at=now, succeeded=succeeded, outcome=outcome[:500]
        )
        held = _held(delivery)
        if succeeded or last:
            state = DeliveryState.DELIVERED if succeeded else DeliveryState.FAILED
            held.update(state=state, finished_at=now, lease=None, leased_until=None)
        else:
            held.update(lease=None, leased_until=now + PAUSES[attempt.number - 1])


def _held(delivery: Delivery) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        pk=delivery.pk, lease=delivery.lease, state=DeliveryState.PENDING
    )


def _lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.EXPORTS_LEASE_SECONDS)
