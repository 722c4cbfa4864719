"""Asking for a file on a supplier's behalf, with an estimate of what it will be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from exports.file_requests import Order, QueueFullError, accept
from exports.formats import FORMATS
from exports.models import FileRequest, Status, Supplier
from headend.portal.access import staff_only
from headend.portal.form_fields import InstantField
from readings.models import IntervalTotals

_BYTES_A_READING = {"csv": 39.0, "jsonl": 45.0, "parquet": 33.0}
"""Measured on a day of the simulated fleet; a deployment's own files say it better as soon as there are any."""


@dataclass(frozen=True)
class Estimate:
    """What a file will come to, as far as the interval totals tell."""

    readings: int
    size: int


class OrderForm(forms.Form):
    """A supplier, a window, a format."""

    supplier = forms.ModelChoiceField(
        Supplier.objects.filter(active=True).order_by("name"),
        empty_label=None,
        to_field_name="name",
    )
    start = InstantField(label="From (UTC)", help_text="Readings with this time or later.")
    end = InstantField(label="To (UTC)", help_text="Readings with this time or earlier.")
    format = forms.ChoiceField(choices=[(name, name) for name in FORMATS], initial="csv")

    def clean(self) -> dict[str, Any]:
        """The end follows the start."""
        given = super().clean() or {}
        start, end = given.get("start"), given.get("end")
        if start and end and end < start:
            self.add_error("end", "To is before From.")
        return given


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_only
@permission_required("exports.add_filerequest", raise_exception=True)
def new_request(request: HttpRequest) -> HttpResponse:
    """The form; what it asks for, when it is sent; a window may come with the address."""
    form = OrderForm(request.POST or None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = accept(given["supplier"], Order(given["start"], given["end"], given["format"]))
        except QueueFullError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Asked for.")
            return redirect("request", made.pk)
    asked = OrderForm(request.GET) if "start" in request.GET else form
    return render(
        request, "portal/new_file_request.html", {"form": form, "estimate": _of_form(asked)}
    )


@never_cache
@require_safe
@staff_only
def estimate(request: HttpRequest) -> HttpResponse:
    """The estimate of what the form holds just now."""
    return render(request, "portal/_estimate.html", {"estimate": _of_form(OrderForm(request.GET))})


def estimated(start: datetime, end: datetime, file_format: str) -> Estimate:
    """How many readings the window holds, and about how many bytes their file will have."""
    totals = IntervalTotals.objects.filter(time__gte=start, time__lte=end)
    readings = totals.aggregate(readings=Sum("readings"))["readings"] or 0
    return Estimate(readings, round(readings * _bytes_a_reading(file_format)))


def _bytes_a_reading(file_format: str) -> float:
    files = FileRequest.objects.filter(
        status=Status.COMPLETED, format=file_format, record_count__gt=0
    ).order_by("-queued_at")[:20]
    done = [(each.size or 0, each.record_count or 0) for each in files]
    readings = sum(count for _, count in done)
    # The head of a small file says nothing about a large one.
    if readings < 10_000:
        return _BYTES_A_READING.get(file_format, 40.0)
    return sum(size for size, _ in done) / readings


def _of_form(form: OrderForm) -> Estimate | None:
    if not form.is_bound or not form.is_valid():
        return None
    given = form.cleaned_data
    return estimated(given["start"], given["end"], given["format"])
