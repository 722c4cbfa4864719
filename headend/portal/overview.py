"""The overview: coverage and load of the fleet, deliveries of today, and what needs attention."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from exports.models import FileRequest, Status
from headend.portal import charts
from headend.portal.access import has_staff_permissions, login_required
from headend.portal.attention import alerts
from headend.portal.coverage import (
    DAY,
    WEEK,
    Coverage,
    IntervalCoverage,
    recent_coverage,
)
from headend.portal.delivery_activity import deliveries_today, failing_deliveries, open_sessions
from headend.portal.fleet_load import load_points
from headend.portal.htmx import page_or_fragment
from readings.feed import newest_interval
from readings.models import IntervalTotals

_PERMISSIONS = (
    "exports.view_filerequest",
    "exports.view_delivery",
    "readings.view_intervaltotals",
)
MAX_FAILING = 5
"""The page lists this many failing deliveries; the page of deliveries lists all of them."""


@never_cache
@require_safe
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """Show the overview to staff whose role allows it; redirect others to their file requests."""
    if not has_staff_permissions(request.user, *_PERMISSIONS):
        return redirect("file-requests")
    template = page_or_fragment(request, "portal/overview.html", "portal/_overview.html")
    return render(request, template, overview_context(timezone.now()))


def overview_context(now: datetime) -> dict[str, Any]:
    """Return everything that the page shows at ``now``, by the names that the template uses."""
    coverage = recent_coverage(now)
    newest = newest_interval()
    return {
        "now": now,
        "coverage": coverage,
        "coverage_chart": _coverage_chart(coverage),
        "first_reading": _first_reading(coverage),
        "newest": newest,
        "newest_age": timesince(newest, now) if newest else None,
        "alerts": alerts(now, coverage, newest),
        "load_charts": _load_charts(now),
        "request_counts": _requests_by_status(),
        "today": deliveries_today(now),
        "failing": _failing_deliveries(),
        "back": reverse("overview"),
        "open_sessions": open_sessions(now).count(),
    }


def _first_reading(coverage: Coverage) -> datetime | None:
    """Return the time of the very first reading, or None if it is at the start of the coverage or before it."""
    first = next((each.time for each in coverage.intervals if each.expected), None)
    if first is None or first == coverage.intervals[0].time:
        return None
    # Meters that seldom send also leave the first intervals of a coverage empty.
    return None if IntervalTotals.objects.filter(time__lt=first, readings__gt=0).exists() else first


def _coverage_chart(coverage: Coverage) -> charts.BarChart:
    values = [
        charts.BarValue(each.time, each.share, each.completeness, _tooltip(each))
        for each in coverage.intervals
    ]
    summary = (
        f"{coverage.percent} percent of the readings of the last 24 hours are stored; "
        f"{len(coverage.incomplete)} of {len(coverage.intervals)} intervals are incomplete."
    )
    return charts.bar_chart(values, coverage.start, coverage.end, summary)


def _tooltip(interval: IntervalCoverage) -> str:
    text = f"{interval.time:%H:%M} UTC: {interval.readings:,} of {interval.expected:,} readings"
    return f"{text}, {interval.late:,} late" if interval.late else text


def _load_charts(now: datetime) -> list[charts.LineChart]:
    week = load_points(now - WEEK, now)
    day = [point for point in week if point[0] >= now - DAY]
    return [
        charts.line_chart("Fleet load, last 24 hours", "kW", day, now - DAY, now),
        charts.line_chart("Fleet load, last 7 days", "kW", week, now - WEEK, now),
    ]


def _failing_deliveries() -> dict[str, Any]:
    failing = failing_deliveries()
    # One delivery more than is shown tells whether there are more.
    first = list(failing[: MAX_FAILING + 1])
    more = len(first) > MAX_FAILING
    return {
        "deliveries": first[:MAX_FAILING],
        "count": failing.count() if more else len(first),
        "more": more,
    }


def _requests_by_status() -> list[tuple[str, int]]:
    counts = dict(FileRequest.objects.values_list("status").annotate(Count("pk")).order_by())
    return [(status.value, counts.get(status.value, 0)) for status in Status]
