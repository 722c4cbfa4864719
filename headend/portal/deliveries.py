"""How files reach suppliers: who is connected, what was fetched, what was brought, what failed."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from exports import file_requests
from exports.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryKind,
    DeliveryState,
    FileFetch,
    SftpSession,
    Supplier,
)
from exports.sftp.session_log import LOST_AFTER
from headend.portal.access import staff_only

PAGE = 25
LATELY = 25
"""As many sessions and fetches are shown; the admin has all."""


class Filters(forms.Form):
    """What the page can be narrowed by; nothing of it need be given."""

    supplier = forms.ModelChoiceField(
        Supplier.objects.order_by("name"), required=False, empty_label="all", to_field_name="name"
    )
    kind = forms.ChoiceField(
        label="Brought as", choices=[("", "all"), *DeliveryKind.choices], required=False
    )
    state = forms.ChoiceField(choices=[("", "all"), *DeliveryState.choices], required=False)

    def given(self) -> dict[str, Any]:
        """The filters that were set and could be read."""
        known = self.cleaned_data if self.is_bound and self.is_valid() else {}
        return {name: value for name, value in known.items() if value}


@never_cache
@require_safe
@staff_only
def deliveries_page(request: HttpRequest) -> HttpResponse:
    """Deliveries; htmx asks for what moves alone."""
    now = timezone.now()
    filters = Filters(request.GET or None)
    given = filters.given()
    of_supplier = {"supplier": given["supplier"]} if "supplier" in given else {}
    of_request = {f"request__{name}": value for name, value in of_supplier.items()}
    brought = _brought().filter(
        **of_request, **{name: given[name] for name in ("kind", "state") if name in given}
    )
    context = {
        "filters": filters,
        "narrowed": bool(given),
        "page": Paginator(brought, PAGE).get_page(request.GET.get("page")),
        "connected": list(connected(now).filter(**of_supplier)),
        "sessions": SftpSession.objects.filter(**of_supplier)
        .exclude(pk__in=connected(now).values("pk"))
        .select_related("supplier")[:LATELY],
        "fetches": FileFetch.objects.filter(**of_request).select_related("request__supplier")[
            :LATELY
        ],
        "today": today(now),
        "back": request.get_full_path(),
    }
    alone = bool(request.headers.get("HX-Request"))
    template = "portal/_deliveries.html" if alone else "portal/deliveries.html"
    return render(request, template, context)


@require_POST
@staff_only
@permission_required("exports.change_delivery", raise_exception=True)
def deliver_again(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Have a delivery that was given up tried once more."""
    delivery = get_object_or_404(Delivery, pk=pk)
    if file_requests.deliver_again(delivery):
        messages.success(request, "It is tried once more.")
    else:
        messages.info(request, "It had not failed.")
    back = request.POST.get("back", "")
    inside = url_has_allowed_host_and_scheme(back, {request.get_host()})
    return redirect(back if inside else "deliveries")


def connected(now: datetime) -> QuerySet[SftpSession]:
    """The sessions that are open now."""
    alive = SftpSession.objects.filter(ended_at__isnull=True, seen_at__gt=now - LOST_AFTER)
    return alive.select_related("supplier")


def today(now: datetime) -> dict[str, int]:
    """Since midnight UTC: files fetched and their bytes, what was brought and what could not be."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    fetched = FileFetch.objects.filter(started_at__gte=midnight).aggregate(
        files=Count("pk"), bytes=Sum("bytes_sent", default=0)
    )
    ended = Q(finished_at__gte=midnight)
    brought = Delivery.objects.aggregate(
        delivered=Count("pk", filter=ended & Q(state=DeliveryState.DELIVERED)),
        failed=Count("pk", filter=ended & Q(state=DeliveryState.FAILED)),
        pending=Count("pk", filter=Q(state=DeliveryState.PENDING)),
    )
    return fetched | brought


def _brought() -> QuerySet[Delivery]:
    last = DeliveryAttempt.objects.filter(delivery=OuterRef("pk")).order_by("-number")
    return Delivery.objects.select_related("request__supplier").annotate(
        last_target=Subquery(last.values("target")[:1]),
        last_outcome=Subquery(last.values("outcome")[:1]),
    )
