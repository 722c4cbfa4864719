"""The page of deliveries: SFTP sessions, downloads, pushes and webhooks."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from exports import file_requests
from exports.models import Delivery, DeliveryKind, DeliveryState, FileFetch
from headend.portal.access import staff_required
from headend.portal.delivery_activity import (
    deliveries_today,
    deliveries_with_last_attempt,
    failing_deliveries,
    open_sessions,
    past_sessions,
)
from headend.portal.forms import FilterForm
from headend.portal.htmx import page_or_fragment
from headend.portal.pagination import requested_page

FAILING = "failing"
"""The filter for pending deliveries with at least two failed attempts."""
PAGE_SIZE = 25
_PERMISSIONS = ("exports.view_delivery", "exports.view_filefetch", "exports.view_sftpsession")
MAX_RECENT = 25
"""This many past sessions and downloads are shown; the admin lists all of them."""


class DeliveryFilters(FilterForm):
    """The filters of the page. The supplier applies to all lists, the others to pushes and webhooks."""

    kind = forms.ChoiceField(
        label="Type", choices=[("", "all"), *DeliveryKind.choices], required=False
    )
    state = forms.ChoiceField(
        label="Status",
        choices=[("", "all"), (FAILING, FAILING.capitalize()), *DeliveryState.choices],
        required=False,
    )


@never_cache
@require_safe
@staff_required(*_PERMISSIONS)
def deliveries_page(request: HttpRequest) -> HttpResponse:
    """Show the deliveries that match the filters of the URL query."""
    filters = DeliveryFilters(request.GET or None)
    context = _lists(request, filters.selected()) | {
        "filters": filters,
        "filtered": bool(filters.selected()),
        "today": deliveries_today(timezone.now()),
        "back": request.get_full_path(),
    }
    template = page_or_fragment(request, "portal/deliveries.html", "portal/_deliveries.html")
    return render(request, template, context)


@require_POST
@staff_required("exports.change_delivery")
def retry_delivery(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Start the next attempt of a failed delivery now, and return to the page in the form's ``back``."""
    delivery = get_object_or_404(Delivery.objects.select_related("request__supplier"), pk=pk)
    if not delivery.request.supplier.active:
        messages.error(request, "Nothing is delivered while the supplier is inactive.")
    elif file_requests.retry_delivery(delivery):
        messages.success(request, "The delivery will be retried.")
    else:
        messages.info(
            request, "Nothing to retry: the delivery has not failed, or an attempt is running."
        )
    back = request.POST.get("back", "")
    is_ours = url_has_allowed_host_and_scheme(back, {request.get_host()})
    # Not `redirect`: it treats a text without a slash as the name of a page.
    return HttpResponseRedirect(back) if is_ours else redirect("deliveries")


def _lists(request: HttpRequest, selected: dict[str, Any]) -> dict[str, Any]:
    now = timezone.now()
    sessions = {"supplier": selected["supplier"]} if "supplier" in selected else {}
    downloads = {f"request__{name}": value for name, value in sessions.items()}
    return {
        "open_sessions": list(open_sessions(now).filter(**sessions)),
        "past_sessions": past_sessions(now).filter(**sessions)[:MAX_RECENT],
        "downloads": FileFetch.objects.filter(**downloads).select_related("request__supplier")[
            :MAX_RECENT
        ],
        "page": requested_page(
            request,
            _pushes_and_webhooks(selected).filter(**downloads),
            PAGE_SIZE,
        ),
    }


def _pushes_and_webhooks(selected: dict[str, Any]) -> QuerySet[Delivery]:
    wanted = {name: selected[name] for name in ("kind", "state") if name in selected}
    if wanted.get("state") != FAILING:
        return deliveries_with_last_attempt().filter(**wanted)
    del wanted["state"]
    return failing_deliveries().filter(**wanted)
