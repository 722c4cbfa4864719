"""Suppliers: what each has asked for lately, its keys, and where its files are brought."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from exports.models import (
    ACTIVE,
    FileRequest,
    PushTarget,
    Status,
    Supplier,
    SupplierPerson,
    Webhook,
)
from exports.pages.access import staff_only

DAYS_OF_USE = 14


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
    return render(request, "exports/suppliers.html", {"suppliers": suppliers})


@never_cache
@require_safe
@staff_only
def supplier_page(request: HttpRequest, name: str) -> HttpResponse:
    """One supplier."""
    supplier = get_object_or_404(Supplier, name=name)
    context = {
        "supplier": supplier,
        "api_keys": supplier.api_keys.all(),
        "ssh_keys": supplier.ssh_keys.all(),
        "people": SupplierPerson.objects.filter(supplier=supplier).select_related("user"),
        "push": PushTarget.objects.filter(supplier=supplier).first(),
        "webhook": Webhook.objects.filter(supplier=supplier).first(),
        "most_running": supplier.most_running or settings.EXPORTS_RUNNING_PER_SUPPLIER,
        "most_queued": supplier.most_queued or settings.EXPORTS_QUEUED_PER_SUPPLIER,
        "use": use_by_day(supplier),
    }
    return render(request, "exports/supplier.html", context)


def use_by_day(supplier: Supplier) -> list[dict[str, Any]]:
    """The last fortnight's days on which it asked for something, newest first."""
    since = timezone.now() - timedelta(days=DAYS_OF_USE)
    return list(
        FileRequest.objects.filter(supplier=supplier, queued_at__gte=since)
        .annotate(day=TruncDate("queued_at"))
        .values("day")
        .annotate(
            asked=Count("pk"),
            failed=Count("pk", filter=Q(status=Status.FAILED)),
            readings=Sum("record_count"),
            bytes=Sum("size"),
        )
        .order_by("-day")
    )
