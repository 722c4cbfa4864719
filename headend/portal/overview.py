"""The first page of the morning: is data coming in, did every supplier get their files, what needs attention."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from exports.models import Delivery, DeliveryState, FileRequest, Status
from headend.portal import charts
from headend.portal.access import logged_in
from headend.portal.coverage import (
    DAY,
    WEEK,
    Coverage,
    coverage,
    curve,
    may_still_come,
    newest_interval,
)
from headend.portal.deliveries import connected, today
from readings.ingest.deployment_fleet import deployment_fleet

LATE_FEED = 3
"""After so many intervals without readings the feed is called interrupted."""
WAITING = timedelta(minutes=10)


@dataclass(frozen=True)
class Attention:
    """Something that a person should look at, and where."""

    sentence: str
    link: str


@never_cache
@require_safe
@logged_in
def overview(request: HttpRequest) -> HttpResponse:
    """The overview; htmx asks for what moves alone. A supplier's people begin with their files instead."""
    if not request.user.is_staff:
        return redirect("requests")
    now = timezone.now()
    template = (
        "portal/_overview.html" if request.headers.get("HX-Request") else "portal/overview.html"
    )
    return render(request, template, figures(now))


def figures(now: datetime) -> dict[str, Any]:
    """All that the page shows."""
    day = coverage(now)
    newest = newest_interval()
    week = curve(now - WEEK, now)
    return {
        "now": now,
        "day": day,
        "bars": _bars(day),
        "hours": charts.time_ticks(day.start, day.end),
        "newest": newest,
        "age": timesince(newest, now) if newest else None,
        "attention": attention(now, day, newest),
        "loads": [
            charts.line(
                "Fleet load, the last day",
                "kW",
                [p for p in week if p[0] >= now - DAY],
                now - DAY,
                now,
            ),
            charts.line("Fleet load, the last week", "kW", week, now - WEEK, now),
        ],
        "requests": _requests_by_state(),
        "today": today(now),
        "connected": connected(now).count(),
        "box": charts,
        "room": charts.HEIGHT - charts.TOP - charts.BOTTOM,
    }


def attention(now: datetime, day: Coverage, newest: datetime | None) -> list[Attention]:
    """What needs a person, the most pressing first."""
    found = []
    interval = deployment_fleet().interval
    if newest is not None and now - newest > LATE_FEED * interval:
        found.append(
            Attention(
                f"No readings have come in for {timesince(newest, now)}.", reverse("overview")
            )
        )
    lacking = [each for each in day.incomplete if not may_still_come(each, now)]
    if lacking:
        found.append(
            Attention(
                f"{len(lacking)} of the last day's {len(day.intervals)} intervals lack readings, the latest at "
                f"{lacking[-1].time:%H:%M} UTC.",
                "#coverage",
            )
        )
    lately = now - DAY
    failed = FileRequest.objects.filter(status=Status.FAILED, finished_at__gte=lately)
    if count := failed.exclude(reason="cancelled").count():
        found.append(
            Attention(
                _counted(count, "file request") + " failed in the last day.",
                reverse("requests") + "?status=failed",
            )
        )
    waiting = FileRequest.objects.filter(status=Status.QUEUED, queued_at__lt=now - WAITING)
    if count := waiting.count():
        found.append(
            Attention(
                _counted(count, "file request") + " waited for more than ten minutes.",
                reverse("requests") + "?status=queued",
            )
        )
    undelivered = Delivery.objects.filter(state=DeliveryState.FAILED, finished_at__gte=lately)
    if count := undelivered.count():
        found.append(
            Attention(
                _counted(count, "push or webhook", "pushes or webhooks")
                + " failed in the last day.",
                reverse("deliveries") + "?state=failed",
            )
        )
    return found


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _bars(day: Coverage) -> list[charts.Bar]:
    return charts.strip(
        [
            (
                each.time,
                each.share,
                each.kind,
                f"{each.time:%H:%M} UTC: {each.readings:,} of {each.expected:,} readings"
                + (f", {each.late:,} late" if each.late else ""),
            )
            for each in day.intervals
        ],
        day.start,
        day.end,
    )


def _requests_by_state() -> list[tuple[str, int]]:
    counted = dict(FileRequest.objects.values_list("status").annotate(Count("pk")).order_by())
    return [(status.value, counted.get(status.value, 0)) for status in Status]
