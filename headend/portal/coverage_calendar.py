"""The coverage calendar: about half a year of days, each with the share of its readings that is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Sum

from exports.templatetags.percent import percent
from headend.portal.coverage import Completeness, percent_of
from readings.expectation import Expectation, MinuteCounts
from readings.models import IntervalTotals
from readings.totals import TOTALS_DELAY, time_prefix

WEEKS = 27
_DATE_LENGTH = len("2023-02-27")


@dataclass(frozen=True)
class Day:
    """The totals of one day in UTC. ``percent`` compares the stored readings with those that are due by now."""

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
            f"{self.date:%a %Y-%m-%d}: {percent(self.percent)}, {self.intervals:,} intervals, "
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
    due = now.astimezone(UTC) - TOTALS_DELAY
    expectation = Expectation.between(since, now.astimezone(UTC).date())
    late = dict(
        IntervalTotals.objects.filter(time__gte=_midnight(since), late__gt=0)
        .annotate(day=time_prefix(_DATE_LENGTH))
        .values("day")
        .annotate(late=Sum("late"))
        .order_by("day")
        .values_list("day", "late")
    )
    return {
        day: _day(day, counts, expectation.of_day(day), due, late.get(day.isoformat(), 0))
        for day, counts in expectation.stored.items()
        if day >= since
    }


def _day(day: date, counts: MinuteCounts, expected: MinuteCounts, due: datetime, late: int) -> Day:
    """Return the totals of a day. Intervals after ``due`` are not expected yet."""
    minutes_due = (due - _midnight(day)) // timedelta(minutes=1)
    readings = sum(counts.values())
    missing = sum(
        max(0, count - counts.get(minute, 0))
        for minute, count in expected.items()
        if minute <= minutes_due
    )
    return Day(day, readings, len(counts), late, percent_of(readings, readings + missing))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
