"""What callers do with file requests: accept, cancel, request again, remove the file."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from exports.delivery import transitions as delivery_transitions
from exports.models import Delivery, ExportPart, FileRequest, MeterList, Status, Supplier
from exports.pipeline import transitions
from exports.tasks import wake_cleanup, wake_deliveries, wake_expiry, wake_workers
from readings.instants import format_instant

log = logging.getLogger(__name__)


class QueueFullError(Exception):
    """The supplier has as many queued requests as its limit allows."""


class SupplierInactiveError(Exception):
    """The supplier is inactive."""


class IdempotencyConflictError(Exception):
    """The Idempotency-Key was used before with another body."""


@dataclass(frozen=True)
class FileSpec:
    """What a supplier requests as a file: a window, a format and columns.

    ``start`` and ``end`` are inclusive instants in UTC. Readings that arrived after ``as_of`` are left out, and
    readings that arrived at ``arrived_after`` or before. ``device_ids`` are ascending; empty means all meters.
    ``columns`` is text as ``format_columns`` writes it; empty means the columns of the contract.
    """

    start: datetime
    end: datetime
    format: str = "csv"
    as_of: datetime | None = None
    arrived_after: datetime | None = None
    device_ids: tuple[str, ...] = ()
    columns: str = ""

    def digest(self) -> str:
        """Return a hash that is equal for equal specs, however their dates were written."""
        as_of, arrived_after = (
            format_instant(each) if each else None for each in (self.as_of, self.arrived_after)
        )
        values: list[Any] = [
            format_instant(self.start),
            format_instant(self.end),
            self.format,
            as_of,
        ]
        # Without these, the hash is the one that earlier versions stored.
        if arrived_after or self.device_ids or self.columns:
            values += [arrived_after, self.device_ids, self.columns]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def accept(supplier: Supplier, spec: FileSpec, *, idempotency_key: str = "") -> FileRequest:
    """Queue a request for the file that ``spec`` describes, and wake a worker.

    The same ``idempotency_key`` and spec return the same request again.

    Works while the broker is down: the request then waits for the task ``recover``.

    Raises :class:`SupplierInactiveError` if the supplier is inactive, :class:`IdempotencyConflictError` if the key was
    used with another spec, and :class:`QueueFullError` if the supplier has too many queued requests.
    """
    with transaction.atomic():
        # The lock keeps the search for the key and the count correct until the request is saved.
        supplier = Supplier.objects.select_for_update(no_key=True).get(pk=supplier.pk)
        # It may have been deactivated after the caller was authenticated.
        if not supplier.active:
            raise SupplierInactiveError(f"The supplier {supplier.name} is inactive.")
        own = FileRequest.objects.filter(supplier=supplier)
        earlier = own.filter(idempotency_key=idempotency_key).first() if idempotency_key else None
        if earlier is not None:
            if earlier.idempotency_digest != spec.digest():
                raise IdempotencyConflictError("Idempotency-Key was used before with another body.")
            return earlier
        limit = supplier.max_queued or settings.EXPORTS_QUEUED_PER_SUPPLIER
        if own.filter(status=Status.QUEUED).count() >= limit:
            raise QueueFullError(f"{limit} file requests are queued already; wait for some to run.")
        request = own.create(
            supplier=supplier,
            start=spec.start,
            end=spec.end,
            as_of=spec.as_of,
            arrived_after=spec.arrived_after,
            meter_list=MeterList.of(spec.device_ids) if spec.device_ids else None,
            meter_count=len(spec.device_ids),
            columns=spec.columns,
            format=spec.format,
            idempotency_key=idempotency_key,
            idempotency_digest=spec.digest() if idempotency_key else "",
        )
        wake_workers()
    return request


def cancel(request: FileRequest) -> bool:
    """Cancel a request and delete what was written. Return False if it was final already."""
    with transaction.atomic():
        cancelled = transitions.cancel(request.pk)
        wake_cleanup()
    return cancelled


def remove_file(request: FileRequest, *, who: str, peer: str) -> bool:
    """Remove a request's file for its supplier. Return False if it has no file any more.

    ``who`` is the fingerprint of the supplier's SSH key, and ``peer`` the client's address.
    """
    with transaction.atomic():
        removed = transitions.remove_file(request.pk, who=who, peer=peer)
        wake_expiry()
    if removed:
        log.info("file removed", extra={"request": str(request.pk), "who": who, "peer": peer})
    return removed


def request_again(request: FileRequest) -> FileRequest:
    """Queue and return a new request for the same meters, window, format and columns, with the readings stored now."""
    spec = FileSpec(
        request.start,
        request.end,
        request.format,
        arrived_after=request.arrived_after,
        device_ids=request.device_ids,
        columns=request.columns,
    )
    return accept(request.supplier, spec)


def retry_delivery(delivery: Delivery) -> bool:
    """Make a failed or paused delivery due now, and wake a worker. Return False if no attempt has failed."""
    with transaction.atomic():
        retried = delivery_transitions.retry(delivery.pk)
        wake_deliveries()
    return retried


def with_progress(requests: QuerySet[FileRequest]) -> QuerySet[FileRequest]:
    """Add ``records_done``, the number of readings that are written, to each request. Needs no further query."""
    # A subquery, so that the database sums only the parts of the rows that are returned.
    done = (
        ExportPart.objects.filter(request=OuterRef("pk"))
        .order_by()
        .values("request")
        .annotate(done=Sum("records_done"))
        .values("done")
    )
    return requests.annotate(records_done=Coalesce(Subquery(done), 0))


def progress(request: FileRequest) -> float:
    """Return the share of the request's readings that is written, from 0 to 1.

    Takes a query, unless the request comes from :func:`with_progress`.
    """
    if request.status == Status.COMPLETED:
        return 1.0
    if not request.record_count:
        return 0.0
    done: int | None = getattr(request, "records_done", None)
    if done is None:
        done = request.parts.aggregate(done=Coalesce(Sum("records_done"), 0))["done"]
    return min(1.0, done / request.record_count)
