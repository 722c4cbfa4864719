"""Is data coming in: what the intervals hold against what the fleet should have sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, Min

from readings.ingest.deployment_fleet import deployment_fleet
from readings.models import IntervalTotals

GRACE = timedelta(minutes=2)
"""What is due needs that long to be written and summed up."""
DAY, WEEK = timedelta(days=1), timedelta(days=7)
FULL, PART, NONE = "full", "part", "none"
"""How much of an interval is there: all, some, nothing."""


@dataclass(frozen=True)
class Interval:
    """One interval: how many readings there are, of how many, and how many of them came late."""

    time: datetime
    readings: int
    expected: int
    late: int
    kw: float

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.readings / self.expected) if self.expected else 0.0

    @property
    def kind(self) -> str:
        """:data:`FULL`, also where nothing was expected, :data:`PART` or :data:`NONE`."""
        if self.readings >= self.expected:
            return FULL
        return PART if self.readings else NONE


@dataclass(frozen=True)
class Coverage:
    """The intervals of a span, in order, those without readings too."""

    start: datetime
    end: datetime
    intervals: list[Interval]

    @property
    def readings(self) -> int:
        """All of them."""
        return sum(interval.readings for interval in self.intervals)

    @property
    def expected(self) -> int:
        """What a whole fleet would have sent."""
        return sum(interval.expected for interval in self.intervals)

    @property
    def late(self) -> int:
        """How many arrived later than their time."""
        return sum(interval.late for interval in self.intervals)

    @property
    def percent(self) -> float:
        """Rounded down: 100 means all."""
        return int(1000 * self.readings / self.expected) / 10 if self.expected else 0.0

    @property
    def incomplete(self) -> list[Interval]:
        """Those that lack readings."""
        return [interval for interval in self.intervals if interval.kind != FULL]


def meters_expected() -> int:
    """How many meters should send each interval: the simulated fleet's, or as many as sent the fullest of late."""
    if settings.SIMULATION:
        return deployment_fleet().devices
    newest = newest_interval()
    if newest is None:
        return 0
    lately = IntervalTotals.objects.filter(time__gt=newest - WEEK)
    return int(lately.aggregate(most=Max("readings"))["most"])


def coverage(now: datetime, span: timedelta = DAY) -> Coverage:
    """The intervals of the last ``span``, up to the newest that should be there."""
    fleet, expected = deployment_fleet(), meters_expected()
    began = IntervalTotals.objects.aggregate(began=Min("time"))["began"]
    last = fleet.newest_interval(now - GRACE)
    start = last - span + fleet.interval
    rows = IntervalTotals.objects.filter(time__gte=start, time__lte=last)
    there = {row.time: row for row in rows}
    times = set(there) | set(fleet.intervals(start, last))
    return Coverage(
        start,
        last + fleet.interval,
        [
            # Before its first reading nothing was expected of the fleet.
            _interval(time, there.get(time), expected if began and time >= began else 0)
            for time in sorted(times)
        ],
    )


def may_still_come(interval: Interval, now: datetime) -> bool:
    """Whether what an interval lacks is only what the simulated fleet sends late."""
    fleet = deployment_fleet()
    if not (settings.SIMULATION and fleet.late_arrivals):
        return False
    missing = interval.expected - interval.readings
    usual = 2 * interval.expected * fleet.late_percent / 100
    return now - interval.time <= fleet.delay and missing <= usual


def newest_interval() -> datetime | None:
    """The newest interval that anything is kept of."""
    newest: datetime | None = IntervalTotals.objects.aggregate(newest=Max("time"))["newest"]
    return newest


def curve(start: datetime, end: datetime) -> list[tuple[datetime, float]]:
    """The fleet's load, kW, interval by interval."""
    rows = IntervalTotals.objects.filter(time__gte=start, time__lte=end)
    return list(rows.values_list("time", "kw"))


def _interval(time: datetime, row: IntervalTotals | None, expected: int) -> Interval:
    if row is None:
        return Interval(time, 0, expected, 0, 0.0)
    return Interval(time, row.readings, expected, row.late, row.kw)
