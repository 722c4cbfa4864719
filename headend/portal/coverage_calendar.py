"""The coverage calendar: about half a year of days, each with the share of its readings that is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Min, Sum

from headend.portal.coverage import DAY, TOTALS_DELAY, Completeness, expected_meters, percent_of
from readings.ingest.deployment_fleet import deployment_fleet
from readings.models import IntervalTotals
from readings.totals import time_prefix

WEEKS = 27
_DATE_LENGTH = len("2023-02-27")


@dataclass(frozen=True)
class Day:
    """The totals of one day in UTC; ``percent`` is of the readings that should be stored by now."""

    date: date
    readings: int = 0
    intervals: int = 0
    late: int = 0
    percent: float = 0.0

    @property
    def completeness(self) -> Completeness:
        """Complete, most (90 % or more), partial or missing."""
        if not self.readings:
            return Completeness.MISSING
        if self.percent >= 100:
            return Completeness.COMPLETE
        return Completeness.MOST if self.percent >= 90 else Completeness.PARTIAL

    @property
    def tooltip(self) -> str:
        """The day's totals as one line of text."""
        return (
            f"{self.date:%a %Y-%m-%d}: {self.percent} %, {self.intervals} intervals, "
            f"{self.late:,} late"
        )


@dataclass(frozen=True)
class Week:
    """Seven days from Monday on; a day in the future is None."""

    days: list[Day | None]
    first_of_month: date | None
    """The first day of a month, if this week contains one that is not in the future."""


def calendar_weeks(now: datetime) -> list[Week]:
    """Return the last :data:`WEEKS` weeks, the newest first."""
    today = now.astimezone(UTC).date()
    first_monday = today - timedelta(days=today.weekday()) - timedelta(weeks=WEEKS - 1)
    days = _days_with_readings(first_monday, now)
    return [
        _week(first_monday + timedelta(weeks=week), today, days) for week in reversed(range(WEEKS))
    ]


def _week(monday: date, today: date, days: dict[date, Day]) -> Week:
    dates = [monday + timedelta(days=day) for day in range(7)]
    return Week(
        [days.get(each, Day(each)) if each <= today else None for each in dates],
        next((each for each in dates if each.day == 1 and each <= today), None),
    )


def _days_with_readings(since: date, now: datetime) -> dict[date, Day]:
    meters = expected_meters()
    first_reading = IntervalTotals.objects.aggregate(first=Min("time"))["first"]
    rows = (
        IntervalTotals.objects.filter(time__gte=_midnight(since))
        .annotate(day=time_prefix(_DATE_LENGTH))
        .values("day")
        .annotate(readings=Sum("readings"), late=Sum("late"), intervals=Count("pk"))
        .order_by("day")
    )
    days = {}
    for row in rows:
        day = date.fromisoformat(row["day"])
        expected = meters * _intervals_due(day, first_reading, now)
        percent = min(100.0, percent_of(row["readings"], expected)) if expected else 100.0
        days[day] = Day(day, row["readings"], row["intervals"], row["late"], percent)
    return days


def _intervals_due(day: date, first_reading: datetime, now: datetime) -> int:
    """Return how many intervals of a day should be stored: from the very first reading up to ``now``."""
    fleet = deployment_fleet()
    first = max(_midnight(day), first_reading)
    last = min(
        _midnight(day) + DAY - fleet.interval,
        fleet.newest_interval(now - TOTALS_DELAY),
    )
    return max(0, (last - first) // fleet.interval + 1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
