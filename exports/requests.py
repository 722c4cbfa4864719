"""What can be done with a file request from outside: accept it, run it again, tell how far it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from exports.models import ExportPart, FileRequest, Status, Supplier
from exports.tasks import announce
from readings.frame import format_instant


class IdempotencyConflictError(Exception):
    """The Idempotency-Key was used before, with another body."""


@dataclass(frozen=True)
class Order:
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


def accept(supplier: Supplier, order: Order, *, idempotency_key: str = "") -> FileRequest:
    """Queue ``order`` for ``supplier``; the same key and order answer with the same request.

    Raises :class:`IdempotencyConflictError` when the key belongs to another order. Does not need
    the broker: a request it cannot announce is found by the task that recovers.
    """
    try:
        with transaction.atomic():
            request = FileRequest.objects.create(
                supplier=supplier,
                start=order.start,
                end=order.end,
                as_of=order.as_of,
                format=order.format,
                idempotency_key=idempotency_key,
                idempotency_digest=order.digest() if idempotency_key else "",
            )
            announce()
    except IntegrityError:
        if not idempotency_key:
            raise
        earlier = FileRequest.objects.get(supplier=supplier, idempotency_key=idempotency_key)
        if earlier.idempotency_digest != order.digest():
            raise IdempotencyConflictError(
                "Idempotency-Key was used before with another body."
            ) from None
        return earlier
    return request


def run_again(request: FileRequest) -> FileRequest:
    """Queue a new request for the same window, whatever became of the old one; its readings are those of now."""
    return accept(request.supplier, Order(request.start, request.end, request.format))


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
