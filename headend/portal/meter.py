"""One meter: what it measured, its latest readings, what it did not send."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from headend.portal import charts
from headend.portal.access import staff_only
from headend.portal.coverage import DAY, GRACE, newest_interval
from headend.portal.fleet import BY_THE_HOUR_FROM, WindowForm
from readings.ingest.deployment_fleet import deployment_fleet
from readings.repositories import Snapshot, repository
from readings.window import Window

LATEST = 12
MOST_GAPS = 50
MOST_READINGS = 20_000
"""More than a fortnight of minutes has."""
PLOTS = [
    ("Active power", "kW", "kw"),
    ("Voltage", "kV", "vltg"),
    ("Current", "A", "crrnt"),
    ("Power factor", "", "pf"),
]


@dataclass(frozen=True)
class Gap:
    """A time, or an hour, from which readings are missing."""

    at: datetime
    missing: int


@dataclass(frozen=True)
class Measured:
    """What a meter sent in a window: columns ``at``, those of :data:`PLOTS`; by interval, or by the hour."""

    points: pl.DataFrame
    readings: int
    late: int
    gaps: list[Gap]


@never_cache
@require_safe
@staff_only
def meter_page(request: HttpRequest, device_id: uuid.UUID) -> HttpResponse:
    """The meter in the window that the address names (default: the last day that is kept)."""
    newest = newest_interval() or timezone.now()
    shown = (newest - DAY, newest)
    form = WindowForm(request.GET if "start" in request.GET else None)
    if form.is_bound and form.is_valid():
        shown = (form.cleaned_data["start"], form.cleaned_data["end"])
    elif not form.is_bound:
        form = WindowForm(initial={"start": shown[0], "end": shown[1]})
    snapshot = repository().snapshot()
    by_the_hour = shown[1] - shown[0] >= BY_THE_HOUR_FROM
    # A long window's latest readings lie in its last day.
    near = max(shown[0], min(shown[1], newest) - DAY) if by_the_hour else shown[0]
    readings = _readings(snapshot, Window(near, shown[1], device_ids=(str(device_id),)))
    if readings.is_empty() and not form.is_bound:
        raise Http404
    if by_the_hour:
        measured = measured_by_the_hour(
            snapshot.hourly_means(Window(*shown, device_ids=(str(device_id),))), *shown
        )
    else:
        measured = measured_by_interval(readings, *shown)
    context = {
        "device_id": str(device_id),
        "form": form,
        "measured": measured,
        "by_the_hour": by_the_hour,
        "load": readings["load"][-1] if len(readings) else None,
        "lines": [_line(title, unit, measured, name, shown) for title, unit, name in PLOTS],
        "latest": readings.tail(LATEST).reverse().to_dicts(),
        "gaps": measured.gaps[:MOST_GAPS],
        "gap_count": sum(gap.missing for gap in measured.gaps),
        "box": charts,
    }
    return render(request, "portal/meter.html", context)


def measured_by_interval(readings: pl.DataFrame, start: datetime, end: datetime) -> Measured:
    """Every reading of a window is a point."""
    late = int((readings["arrival_time"] > readings["time"]).sum())
    gaps = [Gap(time, 1) for time in missing(readings["time"].to_list(), start, end)]
    return Measured(readings.rename({"time": "at"}), len(readings), late, gaps)


def measured_by_the_hour(hours: pl.DataFrame, start: datetime, end: datetime) -> Measured:
    """Every hour of a window is a point: the means of what was measured in it."""
    fleet = deployment_fleet()
    due = Counter(
        time.replace(minute=0, second=0, microsecond=0)
        for time in fleet.intervals(start, min(end, timezone.now() - GRACE))
    )
    there = dict(zip(hours["hour"], hours["readings"], strict=True))
    gaps = [
        Gap(hour, count - there.get(hour, 0))
        for hour, count in due.items()
        if there.get(hour, 0) < count
    ]
    return Measured(
        hours.rename({"hour": "at"}), int(hours["readings"].sum()), int(hours["late"].sum()), gaps
    )


def missing(times: list[datetime], start: datetime, end: datetime) -> list[datetime]:
    """The intervals of a window that none of the times is for, and that should be there by now."""
    there = set(times)
    due = deployment_fleet().intervals(start, min(end, timezone.now() - GRACE))
    return [time for time in due if time not in there]


def _readings(snapshot: Snapshot, window: Window) -> pl.DataFrame:
    return snapshot.page(window, offset=0, size=MOST_READINGS).readings


def _line(
    title: str, unit: str, measured: Measured, column: str, shown: tuple[datetime, datetime]
) -> charts.Line:
    points = list(measured.points.select("at", column).iter_rows())
    return charts.line(title, unit, points, *shown)
