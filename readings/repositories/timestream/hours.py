"""The table's readings counted by minute, hour by hour, and not again before that is worth it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from threading import Lock

import polars as pl
from cachetools import LRUCache

from readings.repositories.minute_index import TOTALS_SCHEMA, MinuteTotals

HOUR = timedelta(hours=1)
_KEPT_HOURS = 20_000
"""More than two years of them, some 5 KB each."""
_LEAST_TRUST, _MOST_TRUST = timedelta(seconds=5), HOUR
_GAPS_COUNTED_APART = 4

Count = Callable[[datetime, datetime], pl.DataFrame]
"""The columns of ``TOTALS_SCHEMA`` for ``start <= time < end``."""


def hour_of(instant: datetime) -> datetime:
    """The whole hour that an instant lies in."""
    return instant.replace(minute=0, second=0, microsecond=0)


class HourCounts:
    """Counts of the hours that were asked for.

    The service does not tell what changed. Readings come late, but ever fewer the older their
    interval: so an hour's count is trusted for a twentieth of the hour's age, from five seconds to an
    hour. An hour in which nothing was found is always looked at again: that costs no scan.
    """

    def __init__(self, count: Count, clock: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._count = count
        self._clock = clock
        self._counted: LRUCache[datetime, tuple[datetime, pl.DataFrame]] = LRUCache(_KEPT_HOURS)
        self._lock = Lock()

    def totals(self, start: datetime, end: datetime) -> MinuteTotals:
        """The minutes from the whole hour ``start`` up to the whole hour ``end``."""
        known = self._trusted(start, end)
        frames = dict(known)
        for first, last in _gaps(start, end, sorted(known)):
            found = self._counted_anew(first, last)
            frames |= found
        ordered = [frames[hour] for hour in sorted(frames)]
        return MinuteTotals(pl.concat([pl.DataFrame(schema=TOTALS_SCHEMA), *ordered]))

    def forget(self, first: datetime, last: datetime | None) -> None:
        """Count the hours from ``first`` to ``last`` again when they are next asked for."""
        with self._lock:
            for hour in list(self._counted):
                if hour >= hour_of(first) and (last is None or hour <= last):
                    del self._counted[hour]

    def _trusted(self, start: datetime, end: datetime) -> dict[datetime, pl.DataFrame]:
        now = self._clock()
        with self._lock:
            return {
                hour: minutes
                for hour, (counted, minutes) in self._counted.items()
                if start <= hour < end and now - counted <= _trust(hour, counted)
            }

    def _counted_anew(self, start: datetime, end: datetime) -> dict[datetime, pl.DataFrame]:
        now = self._clock()
        by_hour = {
            minutes["minute"][0].replace(minute=0): minutes
            for minutes in self._count(start, end)
            .with_columns(pl.col("minute").dt.truncate("1h").alias("hour"))
            .partition_by("hour", maintain_order=True, include_key=False)
        }
        with self._lock:
            for hour, minutes in by_hour.items():
                self._counted[hour] = (now, minutes)
        return by_hour


def _trust(hour: datetime, counted: datetime) -> timedelta:
    return min(max((counted - hour - HOUR) / 20, _LEAST_TRUST), _MOST_TRUST)


def _gaps(
    start: datetime, end: datetime, known: Iterable[datetime]
) -> list[tuple[datetime, datetime]]:
    """What lies between the hours that are known; where that is many pieces, all from the first to the last."""
    gaps = []
    for hour in [*known, end]:
        if start < hour:
            gaps.append((start, hour))
        start = hour + HOUR
    if len(gaps) > _GAPS_COUNTED_APART:
        return [(gaps[0][0], gaps[-1][1])]
    return gaps
