"""One meter: what it measured, its latest readings, what it did not send."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import polars as pl
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from exports.pages.access import staff_only
from headend.portal import charts
from headend.portal.coverage import DAY, newest_interval
from headend.portal.fleet import WindowForm
from readings.fleet_setting import deployment_fleet
from readings.repositories import repository
from readings.window import Window

LATEST = 12
MOST_GAPS = 50
MOST_READINGS = 10_000
"""A month of intervals of five minutes; a longer window is cut behind them."""
PLOTS = [
    ("Active power", "kW", "kw"),
    ("Voltage", "kV", "vltg"),
    ("Current", "A", "crrnt"),
    ("Power factor", "", "pf"),
]


@never_cache
@require_safe
@staff_only
def meter_page(request: HttpRequest, device_id: uuid.UUID) -> HttpResponse:
    """The meter in the window that the address names (default: the last day that is kept)."""
    end = newest_interval() or timezone.now()
    shown = (end - DAY, end)
    form = WindowForm(request.GET if "start" in request.GET else None)
    if form.is_bound and form.is_valid():
        shown = (form.cleaned_data["start"], form.cleaned_data["end"])
    elif not form.is_bound:
        form = WindowForm(initial={"start": shown[0], "end": shown[1]})
    page = (
        repository()
        .snapshot()
        .page(Window(*shown, device_ids=(str(device_id),)), offset=0, size=MOST_READINGS)
    )
    readings = page.readings
    if readings.is_empty() and not form.is_bound:
        raise Http404
    gaps = missing(readings["time"].to_list(), *shown)
    context = {
        "device_id": str(device_id),
        "form": form,
        "readings": len(readings),
        "cut": page.more,
        "late": int((readings["arrival_time"] > readings["time"]).sum()),
        "load": readings["load"][-1] if len(readings) else None,
        "lines": [_line(title, unit, readings, column, shown) for title, unit, column in PLOTS],
        "latest": readings.tail(LATEST).reverse().to_dicts(),
        "gaps": gaps[:MOST_GAPS],
        "gap_count": len(gaps),
        "box": charts,
    }
    return render(request, "portal/meter.html", context)


def missing(times: list[datetime], start: datetime, end: datetime) -> list[datetime]:
    """The intervals of a window that none of the times is for, and that should be there by now."""
    fleet = deployment_fleet()
    due = min(end, timezone.now() - timedelta(minutes=2))
    there = set(times)
    return [time for time in fleet.intervals(start, due) if time not in there]


def _line(
    title: str, unit: str, readings: pl.DataFrame, column: str, shown: tuple[datetime, datetime]
) -> charts.Line:
    points = list(readings.select("time", column).iter_rows())
    return charts.line(title, unit, points, *shown)
