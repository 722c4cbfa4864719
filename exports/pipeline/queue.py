"""Queries for the steps that can be claimed now.

The database is the queue. A Celery message only wakes a worker, which then runs these queries.

Conditions on other tables are subqueries, never joins. Django moves all conditions of an UPDATE with a join into a
subquery. PostgreSQL does not repeat it after it has waited for another UPDATE of the row, so two workers could claim
the same row.
"""

from __future__ import annotations

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from exports.leases.model import LeasedQuerySet, Row, is_free
from exports.models import PLANNED, ExportPart, FileRequest, PartState, Status, Supplier


def plannable() -> LeasedQuerySet[FileRequest]:
    """Return the queued requests that can be planned now, oldest first.

    Requests of suppliers at their limit are not among them, so they do not block other suppliers. Those of inactive
    suppliers wait until the supplier is active again; so do the other steps.
    """
    queued = FileRequest.objects.filter(status=Status.QUEUED, supplier__in=_active_suppliers())
    return _claimable(queued.exclude(supplier__in=suppliers_at_limit())).order_by("queued_at")


def writable() -> LeasedQuerySet[ExportPart]:
    """Return the parts that can be written now; those of the request with the earliest ``priority_at`` first."""
    active = FileRequest.objects.filter(supplier__in=_active_suppliers())
    parts = pending_parts().filter(request__in=active)
    return _claimable(parts).order_by("request__priority_at", "number")


def pending_parts() -> LeasedQuerySet[ExportPart]:
    """Return the parts that are not written yet, of all active requests, whether or not a worker holds them."""
    planned = FileRequest.objects.filter(status__in=PLANNED)
    return ExportPart.objects.filter(state=PartState.PENDING, request__in=planned)


def publishable() -> LeasedQuerySet[FileRequest]:
    """Return the requests whose parts are all written and that can be published now, oldest first."""
    pending = ExportPart.objects.filter(request=OuterRef("pk"), state=PartState.PENDING)
    planned = FileRequest.objects.filter(status__in=PLANNED, supplier__in=_active_suppliers())
    return _claimable(planned.filter(~Exists(pending))).order_by("queued_at")


def suppliers_at_limit() -> QuerySet[FileRequest, dict[str, int]]:
    """Return the suppliers (``supplier``) with as many running requests as their limit allows.

    A request counts as running as soon as a worker claims it for planning, even while it waits for a retry.
    """
    being_planned = Q(status=Status.QUEUED) & ~is_free()
    limit = Coalesce(F("supplier__max_running"), settings.EXPORTS_RUNNING_PER_SUPPLIER)
    return (
        FileRequest.objects.filter(Q(status__in=PLANNED) | being_planned)
        .order_by()
        .values("supplier")
        .annotate(running=Count("pk"))
        .filter(running__gte=limit)
        .values("supplier")
    )


def _active_suppliers() -> QuerySet[Supplier]:
    return Supplier.objects.filter(active=True)


def _claimable(rows: LeasedQuerySet[Row]) -> LeasedQuerySet[Row]:
    return rows.free().with_attempts_left()
