"""Readings: which days are whole, the fleet's load in any window, and the way to a meter."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import Avg, Count, Max, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from headend.portal import charts
from headend.portal.access import staff_only
from headend.portal.calendar import weeks
from headend.portal.coverage import DAY, newest_interval
from headend.portal.form_fields import InstantField
from readings.models import IntervalTotals
from readings.repositories import repository
from readings.totals import time_prefix
from readings.window import Window

BY_THE_HOUR_FROM = timedelta(days=14)
"""A longer window's curve is made of hourly means, which the database takes."""
MOST_FOUND = 20


class WindowForm(forms.Form):
    """A window of the curve."""

    start = InstantField(label="From (UTC)")
    end = InstantField(label="To (UTC)")

    def clean(self) -> dict[str, Any]:
        """The end follows the start."""
        given = super().clean() or {}
        start, end = given.get("start"), given.get("end")
        if start and end and end <= start:
            self.add_error("end", "To is not after From.")
        return given


@never_cache
@require_safe
@staff_only
def fleet_page(request: HttpRequest) -> HttpResponse:
    """The calendar, and the curve of the window that the address names (default: the last day)."""
    newest = newest_interval() or timezone.now()
    shown = (newest - DAY, newest)
    form = WindowForm(request.GET if "start" in request.GET else None)
    if form.is_bound and form.is_valid():
        shown = (form.cleaned_data["start"], form.cleaned_data["end"])
    elif not form.is_bound:
        form = WindowForm(initial={"start": shown[0], "end": shown[1]})
    totals = _between(*shown).aggregate(
        most=Max("readings"), readings=Sum("readings"), late=Sum("late"), intervals=Count("pk")
    )
    context = {
        "form": form,
        "start": shown[0],
        "end": shown[1],
        "totals": totals,
        "line": charts.line("Fleet load", "kW", load(*shown), *shown),
        "box": charts,
        "weeks": weeks(timezone.now()),
        "kept": IntervalTotals.objects.exists(),
    }
    return render(request, "portal/fleet.html", context)


@never_cache
@require_safe
@staff_only
def find_meter(request: HttpRequest) -> HttpResponse:
    """The meters whose id begins as asked; straight to the one if there is one."""
    beginning = request.GET.get("q", "").strip().lower()
    found = meters_like(beginning) if beginning else []
    if len(found) == 1:
        return redirect("meter", found[0])
    context = {"q": beginning, "found": found[:MOST_FOUND], "more": len(found) > MOST_FOUND}
    return render(request, "portal/find_meter.html", context)


def load(start: datetime, end: datetime) -> list[charts.Point]:
    """The fleet's load in a window, kW: by interval, or by the hour where the window is long."""
    rows = _between(start, end)
    if end - start < BY_THE_HOUR_FROM:
        return list(rows.values_list("time", "kw"))
    hours = rows.annotate(hour=time_prefix(len("2023-02-27 16"))).values("hour")
    means = hours.annotate(mean=Avg("kw")).order_by("hour").values_list("hour", "mean")
    return [(datetime.fromisoformat(f"{hour}:00+00:00"), mean) for hour, mean in means]


def meters_like(beginning: str) -> list[str]:
    """Device ids that begin so, among the meters that sent the newest interval; ``MOST_FOUND`` + 1 at most."""
    newest = newest_interval()
    if newest is None:
        return []
    last_minute = Window(newest, newest + timedelta(minutes=1) - timedelta(microseconds=1))
    found: list[str] = []
    for readings in repository().snapshot().frames(last_minute):
        like = readings["device_id"].filter(readings["device_id"].str.starts_with(beginning))
        found += like.unique().sort().head(MOST_FOUND + 1).to_list()
    return found[: MOST_FOUND + 1]


def _between(start: datetime, end: datetime) -> QuerySet[IntervalTotals]:
    return IntervalTotals.objects.filter(time__gte=start, time__lte=end)
