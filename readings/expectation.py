"""How many readings each interval should have, derived from the interval totals of its day and of the week before.

A meter sends its readings at the same minutes of each hour: every 5 minutes, every 15, every 60. So the intervals at
one minute of the hour are compared with each other, and a deployment may have meters with different interval lengths.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from statistics import median_low

from django.conf import settings

from readings.ingest.deployment_fleet import deployment_fleet
from readings.models import IntervalTotals
from readings.totals import time_prefix

MEMORY_DAYS = 7
"""A feed is expected for this many days after its newest reading."""
_MINUTE_LENGTH = len("2023-02-27 16:05")
_HOUR, _DAY = 60, 1440

MinuteCounts = Mapping[int, int]
"""The number of readings by minute of the day, from 0 to 1439. Minutes without readings are missing."""


class Expectation:
    """The expected readings of some days.

    - At each minute of the hour, a day expects the median of its own intervals. This is compared with the largest
      median of the week before. If it is smaller, but at least half as large, some meters are silent, and the day
      expects the larger number. If it is less than half, the fleet has changed, and the day expects its own median. A
      simulated fleet never expects more meters than it has.
    - If the fleet grows to more than twice its size, the larger number is expected from the first interval that has at
      least half of it. Earlier intervals of the day expect the median of the readings before.
    - A day without readings expects what the newest day of the week before expects.
    - Nothing is expected before the first reading, nor more than :data:`MEMORY_DAYS` days after the newest one.
    """

    def __init__(self, days: Mapping[date, MinuteCounts]) -> None:
        """``days`` are the stored readings of the days in question and of the week before them."""
        self.stored = days
        self._cached_days: dict[date, dict[int, int]] = {}
        self._medians = {day: _median_by_minute_of_hour(counts) for day, counts in days.items()}

    @classmethod
    def between(cls, first: date, last: date) -> Expectation:
        """Return the expectation for the days from ``first`` to ``last``. Takes one query."""
        rows = IntervalTotals.objects.filter(
            time__gte=_midnight(first - timedelta(days=MEMORY_DAYS)),
            time__lt=_midnight(last + timedelta(days=1)),
        )
        days: dict[date, dict[int, int]] = {}
        texts = rows.annotate(minute=time_prefix(_MINUTE_LENGTH)).order_by()
        for text, readings in texts.values_list("minute", "readings"):
            minute = int(text[11:13]) * _HOUR + int(text[14:16])
            days.setdefault(date.fromisoformat(text[:10]), {})[minute] = readings
        return cls(days)

    def of_day(self, day: date) -> dict[int, int]:
        """Return the expected readings by minute of the day. Minutes that expect none are missing."""
        week = [day - timedelta(days=n) for n in range(1, MEMORY_DAYS + 1)]
        earlier = [each for each in week if each in self.stored]
        own = self.stored.get(day, {})
        if not own and not earlier:
            return {}
        first = 0 if earlier else min(own)
        hours, usual = self._hours([day, *earlier]), self._usual(earlier)
        expected: dict[int, int] = {}
        for minute_of_hour, count in self._by_minute_of_hour(day, earlier, usual).items():
            has_grown = count > 2 * usual.get(minute_of_hour, 0)
            growth, before = _growth(own, minute_of_hour, count) if has_grown else (0, 0)
            for minute in range(minute_of_hour, _DAY, _HOUR):
                if minute >= first and minute // _HOUR in hours[minute_of_hour]:
                    expected[minute] = count if minute >= growth else before
        return {minute: count for minute, count in expected.items() if count}

    def at(self, time: datetime) -> int:
        """Return the expected readings of the interval at ``time``, which is in UTC."""
        expected = self._cached_days.get(time.date())
        if expected is None:
            expected = self._cached_days[time.date()] = self.of_day(time.date())
        return expected.get(time.hour * _HOUR + time.minute, 0)

    def is_complete(self, time: datetime) -> bool:
        """Return whether the interval at ``time``, which is in UTC, has readings, and all that are expected."""
        stored = self.stored.get(time.date(), {}).get(time.hour * _HOUR + time.minute, 0)
        return stored > 0 and stored >= self.at(time)

    def interval(self) -> timedelta:
        """Return the most common time between two intervals of the newest day with two or more of them.

        Without such a day it is the interval of the simulated fleet.
        """
        for day in sorted(self.stored, reverse=True):
            steps = Counter(
                later - earlier for earlier, later in pairwise(sorted(self.stored[day]))
            )
            if steps:
                return timedelta(minutes=steps.most_common(1)[0][0])
        return deployment_fleet().interval

    def _usual(self, earlier: list[date]) -> dict[int, int]:
        """Return the largest median of the days ``earlier`` by minute of the hour."""
        limit = self._meters_at_most()
        usual: dict[int, int] = {}
        for minute, count in (item for each in earlier for item in self._medians[each].items()):
            usual[minute] = max(usual.get(minute, 0), min(count, limit or count))
        return usual

    def _by_minute_of_hour(
        self, day: date, earlier: list[date], usual: Mapping[int, int]
    ) -> dict[int, int]:
        """Return the expected readings by minute of the hour. ``earlier`` has the newest day first."""
        if day not in self.stored:
            return self._medians[earlier[0]]
        own = self._medians[day]
        expected = {
            minute: max(count, usual.get(minute, 0)) if 2 * count >= usual.get(minute, 0) else count
            for minute, count in own.items()
        }
        # In the first hour of a day, most minutes of the hour have no readings yet.
        is_first_hour = max(self.stored[day]) - min(self.stored[day]) < _HOUR
        return {**usual, **expected} if is_first_hour else expected

    def _meters_at_most(self) -> int | None:
        return deployment_fleet().devices if settings.SIMULATION else None

    def _hours(self, days: list[date]) -> dict[int, range]:
        """Return the hours of the day in which meters send, by minute of the hour: every hour, or every n-th."""
        found: dict[int, set[int]] = {}
        for day in days:
            for minute in self.stored.get(day, {}):
                found.setdefault(minute % _HOUR, set()).add(minute // _HOUR)
        return {minute: _every_nth(hours) for minute, hours in found.items()}


def _growth(counts: MinuteCounts, minute_of_hour: int, count: int) -> tuple[int, int]:
    """Return the first minute of a day with at least half of ``count`` readings, and the median of the earlier ones.

    Only the minutes at ``minute_of_hour`` are compared. The minute is 0 if there is none, and the median is 0 if there
    are no earlier readings.
    """
    series = {minute: n for minute, n in counts.items() if minute % _HOUR == minute_of_hour}
    growth = min((minute for minute, n in series.items() if 2 * n >= count), default=0)
    earlier = [n for minute, n in series.items() if minute < growth]
    return growth, median_low(earlier) if earlier else 0


def _every_nth(hours: set[int]) -> range:
    first = min(hours)
    step = math.gcd(*(hour - first for hour in hours)) or 24
    return range(first % step, 24, step)


def _median_by_minute_of_hour(counts: MinuteCounts) -> dict[int, int]:
    by_minute: dict[int, list[int]] = {}
    for minute, readings in counts.items():
        by_minute.setdefault(minute % _HOUR, []).append(readings)
    return {minute: median_low(found) for minute, found in by_minute.items()}


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
