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
from exports.templatetags.percent import percent
from headend.portal import bar_charts, charts
from headend.portal.access import has_staff_permissions, login_required
from headend.portal.attention import alerts
from headend.portal.class_energy import energy_by_class
from headend.portal.coverage import (
    DAY,
    WEEK,
    Coverage,
    IntervalCoverage,
    recent_coverage,
)
from headend.portal.delivery_activity import deliveries_today, failing_deliveries, open_sessions
from headend.portal.energy_units import energy_as_text
from headend.portal.fleet_load import Sums, energy, load_points, sums_between
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
    sums = sums_between(_hour_of(now - WEEK), now)
    return {
        "now": now,
        "coverage": coverage,
        "coverage_chart": _coverage_chart(coverage),
        "first_reading": _first_reading(coverage),
        "newest": newest,
        "newest_age": timesince(newest, now) if newest else None,
        "alerts": alerts(now, coverage, newest),
        "energy": _energy_of_day(sums, now),
        "charts": _fleet_charts(sums, now),
        "classes": energy_by_class(now - DAY, now),
        "request_counts": _requests_by_status(),
        "today": deliveries_today(now),
        "failing": _failing_deliveries(),
        "back": reverse("overview"),
        "open_sessions": open_sessions(now).count(),
    }


def _first_reading(coverage: Coverage) -> datetime | None:
    """Return the time of the first stored reading, or None if it is not later than the start of the coverage."""
    first = next((each.time for each in coverage.intervals if each.expected), None)
    if first is None or first == coverage.intervals[0].time:
        return None
    # The first intervals may also be empty because the meters send rarely.
    return None if IntervalTotals.objects.filter(time__lt=first, readings__gt=0).exists() else first


def _coverage_chart(coverage: Coverage) -> bar_charts.BarChart:
    values = [
        bar_charts.BarValue(each.time, each.share, each.completeness, _tooltip(each))
        for each in coverage.intervals
    ]
    summary = (
        f"{percent(coverage.percent)} of the readings of the last 24 hours are stored; "
        f"{len(coverage.incomplete):,} of {len(coverage.intervals):,} intervals are incomplete."
    )
    return bar_charts.bar_chart(
        "Readings by interval, last 24 hours", values, coverage.start, coverage.end, summary
    )


def _tooltip(interval: IntervalCoverage) -> str:
    text = f"{interval.time:%H:%M} UTC: {interval.readings:,} of {interval.expected:,} readings"
    return f"{text}, {interval.late:,} late" if interval.late else text


def _hour_of(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def _energy_of_day(sums: list[Sums], now: datetime) -> dict[str, str] | None:
    """Return the energy of the last 24 hours as text, or None if no reading has any."""
    day = energy(sums, now - DAY, now)
    if not day.is_known:
        return None
    return {"imported": energy_as_text(day.imported), "exported": energy_as_text(day.exported)}


def _fleet_charts(sums: list[Sums], now: datetime) -> list[charts.LineChart]:
    # Only whole hours: an incomplete hour would look like a drop.
    week = energy(sums, _hour_of(now - WEEK), _hour_of(now))
    drawn = [week.chart(", last 7 days")] if week.is_known else []
    load = [point for point in load_points(sums, now - WEEK, now) if point[0] >= now - WEEK]
    if week.is_known and not any(kw for _, kw in load):
        return drawn
    day = [point for point in load if point[0] >= now - DAY]
    return [
        charts.line_chart("Fleet load, last 24 hours", "kW", day, now - DAY, now),
        charts.line_chart("Fleet load, last 7 days", "kW", load, now - WEEK, now),
        *drawn,
    ]


def _failing_deliveries() -> dict[str, Any]:
    failing = failing_deliveries()
    # One delivery more than the page shows, to know whether there are more.
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
