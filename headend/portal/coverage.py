"""Coverage: the readings that each interval has, compared with the readings that it should have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db.models import Max, Min
from django.utils import timezone

from readings.ingest.deployment_fleet import deployment_fleet
from readings.models import IntervalTotals

TOTALS_DELAY = timedelta(minutes=2)
"""An interval's readings are written and its total is updated within this time after the interval ends."""
DAY, WEEK = timedelta(days=1), timedelta(days=7)


class Completeness(StrEnum):
    """How much of the expected readings is stored. The values are CSS classes of the portal."""

    COMPLETE = "complete"
    MOST = "most"
    """At least 90 %; used for days only."""
    PARTIAL = "partial"
    MISSING = "missing"


@dataclass(frozen=True)
class IntervalCoverage:
    """The number of readings of one interval: stored, expected and late; ``kw`` is the sum of their power."""

    time: datetime
    readings: int
    expected: int
    late: int
    kw: float

    @property
    def share(self) -> float:
        """Stored readings divided by expected readings, from 0 to 1; 0 if none are expected."""
        return min(1.0, self.readings / self.expected) if self.expected else 0.0

    @property
    def completeness(self) -> Completeness:
        """Complete (also if no readings are expected), partial or missing."""
        if self.readings >= self.expected:
            return Completeness.COMPLETE
        return Completeness.PARTIAL if self.readings else Completeness.MISSING


@dataclass(frozen=True)
class Coverage:
    """Every interval between two instants in ascending order, also those without readings."""

    start: datetime
    end: datetime
    intervals: list[IntervalCoverage]

    @property
    def readings(self) -> int:
        """The number of stored readings."""
        return sum(interval.readings for interval in self.intervals)

    @property
    def expected(self) -> int:
        """The number of readings that a complete fleet sends."""
        return sum(interval.expected for interval in self.intervals)

    @property
    def late(self) -> int:
        """The number of late readings."""
        return sum(interval.late for interval in self.intervals)

    @property
    def percent(self) -> float:
        """Stored readings in percent of the expected ones; 0 if none are expected."""
        return percent_of(self.readings, self.expected) if self.expected else 0.0

    @property
    def incomplete(self) -> list[IntervalCoverage]:
        """The intervals with missing readings."""
        return [
            interval
            for interval in self.intervals
            if interval.completeness != Completeness.COMPLETE
        ]


def percent_of(readings: int, expected: int) -> float:
    """Return ``readings`` in percent of ``expected``, rounded down to one decimal: 100 means all.

    ``expected`` must not be 0. The result is greater than 100 if there are more readings than expected.
    """
    return int(1000 * readings / expected) / 10


def expected_meters() -> int:
    """Return how many meters should send readings for each interval.

    That is the size of the simulated fleet. Without a simulation it is the largest number of readings that an
    interval of the last week has; 0 if there are no readings.
    """
    if settings.SIMULATION:
        return deployment_fleet().devices
    newest = newest_interval()
    if newest is None:
        return 0
    last_week = IntervalTotals.objects.filter(time__gt=newest - WEEK, time__lte=newest)
    return int(last_week.aggregate(largest=Max("readings"))["largest"])


def recent_coverage(now: datetime, span: timedelta = DAY) -> Coverage:
    """Return the coverage of the last ``span``, up to the newest interval that should be stored by ``now``."""
    fleet, expected = deployment_fleet(), expected_meters()
    first_reading = IntervalTotals.objects.aggregate(first=Min("time"))["first"]
    last = fleet.newest_interval(now - TOTALS_DELAY)
    start = last - span + fleet.interval
    totals = {
        row.time: row for row in IntervalTotals.objects.filter(time__gte=start, time__lte=last)
    }
    times = set(totals) | set(fleet.intervals(start, last))

    def expected_at(time: datetime) -> int:
        # A deployment expects nothing of the time before its first reading.
        return expected if first_reading and time >= first_reading else 0

    intervals = [
        _interval_coverage(time, totals.get(time), expected_at(time)) for time in sorted(times)
    ]
    return Coverage(start, last + fleet.interval, intervals)


def may_still_arrive(interval: IntervalCoverage, now: datetime) -> bool:
    """Return whether all missing readings of an interval can be readings that the simulated fleet sends late."""
    fleet = deployment_fleet()
    if not (settings.SIMULATION and fleet.late_arrivals):
        return False
    missing = interval.expected - interval.readings
    # Twice the mean: the number of late readings varies from interval to interval.
    plausible = 2 * interval.expected * fleet.late_percent / 100
    return now - interval.time <= fleet.delay and missing <= plausible


def newest_interval() -> datetime | None:
    """Return the time of the newest interval that has readings and is not in the future, or None.

    A file may contain wrong dates, up to ten years ahead.
    """
    past = IntervalTotals.objects.filter(time__lte=timezone.now())
    newest: datetime | None = past.aggregate(newest=Max("time"))["newest"]
    return newest


def _interval_coverage(
    time: datetime, row: IntervalTotals | None, expected: int
) -> IntervalCoverage:
    if row is None:
        return IntervalCoverage(time, 0, expected, 0, 0.0)
    return IntervalCoverage(time, row.readings, expected, row.late, row.kw)
