"""Coverage: the stored readings of each interval, compared with the expected ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from django.conf import settings

from readings.expectation import Expectation
from readings.ingest.deployment_fleet import deployment_fleet
from readings.models import IntervalTotals
from readings.simulation.arrivals import missing_percent
from readings.totals import TOTALS_DELAY

MINUTE, DAY, WEEK = timedelta(minutes=1), timedelta(days=1), timedelta(days=7)


class Completeness(StrEnum):
    """How much of the expected readings is stored. The values are CSS classes of the portal."""

    COMPLETE = "complete"
    MOST = "most"
    """At least 90 %; used for days only."""
    PARTIAL = "partial"
    MISSING = "missing"


@dataclass(frozen=True)
class IntervalCoverage:
    """The number of readings of one interval: stored, expected and late; ``kw`` is the sum of their power.

    ``expected`` is never less than ``readings``. So an additional reading in one interval cannot compensate a missing
    reading in another.
    """

    time: datetime
    readings: int
    expected: int
    late: int
    kw: float

    @property
    def share(self) -> float:
        """Stored readings divided by expected readings, from 0 to 1; 0 if none are expected."""
        return self.readings / self.expected if self.expected else 0.0

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
        """The number of readings that should be stored; never less than the stored ones."""
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

    ``expected`` must be neither 0 nor less than ``readings``.
    """
    return int(1000 * readings / expected) / 10


def recent_coverage(now: datetime, span: timedelta = DAY) -> Coverage:
    """Return the coverage of the last ``span``, up to the newest interval that is complete or should be complete."""
    now = now.astimezone(UTC)
    due = now - TOTALS_DELAY
    expectation = Expectation.between((due - span).date(), now.date())
    interval = expectation.interval()
    newest = newest_before(now, interval)
    if expectation.is_complete(newest):
        due = max(due, newest)
    last = newest_before(due, interval)
    start = last - span + interval
    totals = {
        row.time: row for row in IntervalTotals.objects.filter(time__gte=start, time__lte=due)
    }
    every_minute = {start + n * MINUTE for n in range((due - start) // MINUTE + 1)}
    on_grid = {start + n * interval for n in range(span // interval)}
    times = on_grid | {time for time in every_minute if time in totals or expectation.at(time)}
    intervals = [
        _interval_coverage(time, totals.get(time), expectation.at(time)) for time in sorted(times)
    ]
    return Coverage(start, last + interval, intervals)


def may_still_arrive(interval: IntervalCoverage, now: datetime) -> bool:
    """Return whether all missing readings of an interval can be readings that the simulated fleet sends late."""
    if not settings.SIMULATION:
        return False
    missing = interval.expected - interval.readings
    share = missing_percent(deployment_fleet(), interval.time, now)
    # Twice the mean, because the number of late readings varies from interval to interval.
    return share > 0 and missing <= 2 * interval.expected * share / 100


def newest_before(time: datetime, interval: timedelta) -> datetime:
    """Return the newest interval at or before ``time``. Intervals are counted from midnight UTC."""
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (time - midnight) // interval * interval


def _interval_coverage(
    time: datetime, row: IntervalTotals | None, expected: int
) -> IntervalCoverage:
    if row is None:
        return IntervalCoverage(time, 0, expected, 0, 0.0)
    return IntervalCoverage(time, row.readings, max(expected, row.readings), row.late, row.kw)
