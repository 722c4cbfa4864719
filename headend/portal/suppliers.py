"""The list of suppliers, and the page of one supplier."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from exports.models import ACTIVE, PushTarget, Status, Supplier, SupplierPerson, Webhook
from exports.suppliers.usage import DAYS, usage_by_day
from headend.portal.access import staff_required
from headend.portal.pagination import requested_page

PAGE_SIZE = 50
_SUPPLIER_PERMISSIONS = tuple(
    f"exports.view_{model}"
    for model in ("supplier", "apikey", "sshkey", "pushtarget", "webhook", "supplierperson")
)
"""The page of a supplier shows all of these."""


@never_cache
@require_safe
@staff_required("exports.view_supplier")
def suppliers_page(request: HttpRequest) -> HttpResponse:
    """List the suppliers by name, with the numbers of their file requests."""
    page = requested_page(request, _suppliers_with_counts(), PAGE_SIZE)
    return render(request, "portal/suppliers.html", {"page": page})


@never_cache
@require_safe
@staff_required(*_SUPPLIER_PERMISSIONS)
def supplier_page(request: HttpRequest, name: str) -> HttpResponse:
    """Show one supplier: limits, keys, push target, webhook, users and usage."""
    supplier = get_object_or_404(Supplier, name=name)
    context = {
        "supplier": supplier,
        "api_keys": supplier.api_keys.all(),
        "ssh_keys": supplier.ssh_keys.all(),
        "users": SupplierPerson.objects.filter(supplier=supplier).select_related("user"),
        "push_target": PushTarget.objects.filter(supplier=supplier).first(),
        "webhook": Webhook.objects.filter(supplier=supplier).first(),
        "max_running": supplier.max_running or settings.EXPORTS_RUNNING_PER_SUPPLIER,
        "max_queued": supplier.max_queued or settings.EXPORTS_QUEUED_PER_SUPPLIER,
    }
    return render(request, "portal/supplier.html", context | _usage(supplier))


def _suppliers_with_counts() -> QuerySet[Supplier]:
    requests = "file_requests"
    return Supplier.objects.annotate(
        total=Count(requests),
        active_requests=Count(requests, filter=Q(file_requests__status__in=ACTIVE)),
        failed=Count(requests, filter=Q(file_requests__status=Status.FAILED)),
        last_requested_at=Max("file_requests__queued_at"),
    ).order_by("name")


def _usage(supplier: Supplier) -> dict[str, Any]:
    """Return the usage by day, and the readings of the busiest day, which give the bars their scale."""
    days = usage_by_day(supplier, timezone.now())
    busiest = max((day.requested.get("readings", 0) for day in days), default=0)
    return {"usage": days, "usage_days": DAYS, "max_readings": busiest or 1}
