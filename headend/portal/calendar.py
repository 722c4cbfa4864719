"""The coverage calendar: half a year of days, each with how much of it is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Min, Sum

from headend.portal.coverage import DAY, GRACE, meters_expected
from readings.ingest.deployment_fleet import deployment_fleet
from readings.models import IntervalTotals
from readings.totals import time_prefix

WEEKS_SHOWN = 27


@dataclass(frozen=True)
class Day:
    """One day, UTC; ``percent`` is of what a whole fleet should have sent of it by now."""

    date: date
    readings: int = 0
    intervals: int = 0
    late: int = 0
    percent: float = 0.0

    @property
    def kind(self) -> str:
        """How whole it is: ``full``, ``most``, ``part`` or ``none``."""
        if not self.readings:
            return "none"
        if self.percent >= 100:
            return "full"
        return "most" if self.percent >= 90 else "part"


@dataclass(frozen=True)
class Week:
    """Seven days from Monday on, None for those still to come."""

    days: list[Day | None]
    begins: date | None
    """The first of a month, if that is in this week."""


def weeks(now: datetime) -> list[Week]:
    """The calendar, newest week first."""
    today = now.astimezone(UTC).date()
    monday = today - timedelta(days=today.weekday()) - timedelta(weeks=WEEKS_SHOWN - 1)
    days = _days(monday, now)
    shown = []
    for week in reversed(range(WEEKS_SHOWN)):
        dates = [monday + timedelta(weeks=week, days=day) for day in range(7)]
        shown.append(
            Week(
                [days.get(each, Day(each)) if each <= today else None for each in dates],
                next((each for each in dates if each.day == 1 and each <= today), None),
            )
        )
    return shown


def _days(since: date, now: datetime) -> dict[date, Day]:
    meters = meters_expected()
    began = IntervalTotals.objects.aggregate(began=Min("time"))["began"]
    rows = (
        IntervalTotals.objects.filter(time__gte=_midnight(since))
        .annotate(day=time_prefix(len("2023-02-27")))
        .values("day")
        .annotate(readings=Sum("readings"), late=Sum("late"), intervals=Count("pk"))
        .order_by("day")
    )
    days = {}
    for row in rows:
        day = date.fromisoformat(row["day"])
        expected = meters * _intervals_due(day, began, now)
        percent = min(100.0, int(1000 * row["readings"] / expected) / 10) if expected else 100.0
        days[day] = Day(day, row["readings"], row["intervals"], row["late"], percent)
    return days


def _intervals_due(day: date, began: datetime, now: datetime) -> int:
    """How many intervals of a day should be there: those from the very first reading up to what is due."""
    interval = deployment_fleet().interval
    first = max(_midnight(day), began)
    last = min(_midnight(day) + DAY - interval, deployment_fleet().newest_interval(now - GRACE))
    return max(0, (last - first) // interval + 1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
