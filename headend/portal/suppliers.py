"""Suppliers: what each has asked for lately, its keys, and where its files are brought."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from exports.models import (
    ACTIVE,
    PushTarget,
    Status,
    Supplier,
    SupplierPerson,
    Webhook,
)
from exports.suppliers.usage import usage_by_day
from headend.portal.access import staff_only


@never_cache
@require_safe
@staff_only
def suppliers_page(request: HttpRequest) -> HttpResponse:
    """All suppliers, with their requests in numbers."""
    requests = "file_requests"
    suppliers = Supplier.objects.annotate(
        total=Count(requests),
        active_requests=Count(requests, filter=Q(file_requests__status__in=ACTIVE)),
        failed=Count(requests, filter=Q(file_requests__status=Status.FAILED)),
        last=Max("file_requests__queued_at"),
    ).order_by("name")
    return render(request, "portal/suppliers.html", {"suppliers": suppliers})


@never_cache
@require_safe
@staff_only
def supplier_page(request: HttpRequest, name: str) -> HttpResponse:
    """One supplier."""
    supplier = get_object_or_404(Supplier, name=name)
    use = usage_by_day(supplier, timezone.now())
    context = {
        "supplier": supplier,
        "api_keys": supplier.api_keys.all(),
        "ssh_keys": supplier.ssh_keys.all(),
        "people": SupplierPerson.objects.filter(supplier=supplier).select_related("user"),
        "push": PushTarget.objects.filter(supplier=supplier).first(),
        "webhook": Webhook.objects.filter(supplier=supplier).first(),
        "most_running": supplier.most_running or settings.EXPORTS_RUNNING_PER_SUPPLIER,
        "most_queued": supplier.most_queued or settings.EXPORTS_QUEUED_PER_SUPPLIER,
        "use": use,
        "most_readings": max((day.requested.get("readings", 0) for day in use), default=0) or 1,
    }
    return render(request, "portal/supplier.html", context)
