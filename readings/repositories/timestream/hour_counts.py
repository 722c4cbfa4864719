"""A cache of the table's minute counts, hour by hour, with a lifetime that depends on the age of the hour."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from threading import Lock

import polars as pl
from cachetools import LRUCache

from readings.repositories.minute_index import MINUTE_INDEX_SCHEMA, MinuteIndex

COUNTED_SCHEMA = MINUTE_INDEX_SCHEMA | {"revision": pl.Int64()}
"""What is counted of each minute. ``revision`` changes if one of its readings is replaced."""
HOUR = timedelta(hours=1)
_MAX_CACHED_HOURS = 20_000
"""More than two years, about 5 KB per hour."""
_MIN_LIFETIME, _MAX_LIFETIME = timedelta(seconds=5), HOUR
_MAX_QUERIES = 4
"""If more gaps than this must be counted, one query counts everything from the first to the last."""

Count = Callable[[datetime, datetime], pl.DataFrame]
"""Returns the columns of ``COUNTED_SCHEMA`` for ``start <= time < end``."""


def hour_of(instant: datetime) -> datetime:
    """Return the beginning of the hour of an instant."""
    return instant.replace(minute=0, second=0, microsecond=0)


class HourCounts:
    """The counts of the hours that were requested so far.

    The service does not report changes. Late readings are rarer, the older their interval is. So the counts of an hour
    are valid for a twentieth of its age, at least five seconds and at most an hour. Empty hours are not cached:
    counting them scans nothing.
    """

    def __init__(self, count: Count, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._count = count
        self._clock = clock
        self._cache: LRUCache[datetime, tuple[datetime, pl.DataFrame]] = LRUCache(_MAX_CACHED_HOURS)
        self._lock = Lock()

    def index(self, start: datetime, end: datetime) -> MinuteIndex:
        """Return the minutes from ``start`` (inclusive) to ``end`` (exclusive); both are whole hours."""
        return MinuteIndex(self.minutes(start, end))

    def minutes(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the same minutes with the columns of :data:`COUNTED_SCHEMA`."""
        cached = self._valid(start, end)
        by_hour = dict(cached)
        for first, last in _gaps(start, end, sorted(cached)):
            by_hour |= self._count_hours(first, last)
        ordered = [by_hour[hour] for hour in sorted(by_hour)]
        return pl.concat([pl.DataFrame(schema=COUNTED_SCHEMA), *ordered])

    def forget(self, first: datetime, last: datetime | None) -> None:
        """Drop the cached counts of the hours from ``first`` to ``last`` (None: without end)."""
        with self._lock:
            for hour in list(self._cache):
                if hour >= hour_of(first) and (last is None or hour <= last):
                    del self._cache[hour]

    def _valid(self, start: datetime, end: datetime) -> dict[datetime, pl.DataFrame]:
        now = self._clock()
        with self._lock:
            return {
                hour: minutes
                for hour, (counted_at, minutes) in self._cache.items()
                # The clock may have been set back since the hour was counted.
                if start <= hour < end
                and timedelta(0) <= now - counted_at <= _lifetime(hour, counted_at)
            }

    def _count_hours(self, start: datetime, end: datetime) -> dict[datetime, pl.DataFrame]:
        now = self._clock()
        by_hour = {
            minutes["minute"][0].replace(minute=0): minutes
            for minutes in self._count(start, end)
            .with_columns(pl.col("minute").dt.truncate("1h").alias("hour"))
            .partition_by("hour", maintain_order=True, include_key=False)
        }
        with self._lock:
            for hour, minutes in by_hour.items():
                self._cache[hour] = (now, minutes)
        return by_hour


def _lifetime(hour: datetime, counted_at: datetime) -> timedelta:
    return min(max((counted_at - hour - HOUR) / 20, _MIN_LIFETIME), _MAX_LIFETIME)


def _gaps(
    start: datetime, end: datetime, known: Iterable[datetime]
) -> list[tuple[datetime, datetime]]:
    """Return the spans between the known hours (ascending), or one span over all of them if they are many."""
    gaps = []
    for hour in [*known, end]:
        if start < hour:
            gaps.append((start, hour))
        start = hour + HOUR
    if len(gaps) > _MAX_QUERIES:
        return [(gaps[0][0], gaps[-1][1])]
    return gaps
