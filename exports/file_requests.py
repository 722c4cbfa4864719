"""What can be done with a file request from outside: accept it, end it, run or bring it again, tell how far it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from exports.delivery import transitions as delivery_transitions
from exports.models import Delivery, ExportPart, FileRequest, Status, Supplier
from exports.pipeline import transitions
from exports.tasks import wake_cleanup, wake_deliveries, wake_workers
from readings.frame import format_instant


class QueueFullError(Exception):
    """The supplier has as many requests waiting as it may."""


class IdempotencyConflictError(Exception):
    """The Idempotency-Key was used before, with another body."""


@dataclass(frozen=True)
class FileSpec:
    """What a supplier asks to have as a file; both bounds are inclusive, instants carry UTC."""

    start: datetime
    end: datetime
    format: str = "csv"
    as_of: datetime | None = None

    def digest(self) -> str:
        """Tells two orders apart, whichever way their dates were written."""
        as_of = format_instant(self.as_of) if self.as_of else None
        values = [format_instant(self.start), format_instant(self.end), self.format, as_of]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def accept(supplier: Supplier, order: FileSpec, *, idempotency_key: str = "") -> FileRequest:
    """Queue ``order`` for ``supplier``; the same key and order answer with the same request.

    Raises :class:`IdempotencyConflictError` when the key belongs to another order, and
    :class:`QueueFullError`. Does not need the broker: a request it cannot announce is found by the
    task that recovers.
    """
    with transaction.atomic():
        # One at a time for a supplier: the key and the count stay true until the request is there.
        supplier = Supplier.objects.select_for_update(no_key=True).get(pk=supplier.pk)
        own = FileRequest.objects.filter(supplier=supplier)
        earlier = own.filter(idempotency_key=idempotency_key).first() if idempotency_key else None
        if earlier is not None:
            if earlier.idempotency_digest != order.digest():
                raise IdempotencyConflictError("Idempotency-Key was used before with another body.")
            return earlier
        most = supplier.max_queued or settings.EXPORTS_QUEUED_PER_SUPPLIER
        if own.filter(status=Status.QUEUED).count() >= most:
            raise QueueFullError(f"{most} file requests are queued already; wait for some to run.")
        request = own.create(
            supplier=supplier,
            start=order.start,
            end=order.end,
            as_of=order.as_of,
            format=order.format,
            idempotency_key=idempotency_key,
            idempotency_digest=order.digest() if idempotency_key else "",
        )
        wake_workers()
    return request


def cancel(request: FileRequest) -> bool:
    """Stop a request that is not final, and remove what was written; whether it was still to be stopped."""
    with transaction.atomic():
        cancelled = transitions.cancel(request.pk)
        wake_cleanup()
    return cancelled


def run_again(request: FileRequest) -> FileRequest:
    """Queue a new request for the same window, whatever became of the old one; its readings are those of now."""
    return accept(request.supplier, FileSpec(request.start, request.end, request.format))


def retry_delivery(delivery: Delivery) -> bool:
    """Have a delivery that was given up tried once more; whether it had been given up."""
    with transaction.atomic():
        again = delivery_transitions.retry(delivery.pk)
        wake_deliveries()
    return again


def with_progress(requests: QuerySet[FileRequest]) -> QuerySet[FileRequest]:
    """The requests with ``records_done``, how many readings their parts have written, in one query."""
    # A subquery, so that the database adds up the parts of the rows shown and of no others.
    done = (
        ExportPart.objects.filter(request=OuterRef("pk"))
        .order_by()
        .values("request")
        .annotate(done=Sum("records_done"))
        .values("done")
    )
    return requests.annotate(records_done=Coalesce(Subquery(done), 0))


def progress(request: FileRequest) -> float:
    """How much of the request's readings are written, 0 to 1; a query unless :func:`with_progress` asked."""
    if request.status == Status.COMPLETED:
        return 1.0
    if not request.record_count:
        return 0.0
    done: int | None = getattr(request, "records_done", None)
    if done is None:
        done = request.parts.aggregate(done=Coalesce(Sum("records_done"), 0))["done"]
    return min(1.0, done / request.record_count)
