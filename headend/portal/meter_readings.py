"""The readings of one meter in a window, prepared for its page: points to draw and missing intervals."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
from django.utils import timezone

from headend.portal.coverage import DAY
from headend.portal.fleet_load import HOURLY_FROM
from headend.portal.forms import Bounds
from readings import frame
from readings.ingest.deployment_fleet import deployment_fleet
from readings.instants import EARLIEST_INSTANT
from readings.models import Meter
from readings.repositories import Snapshot
from readings.totals import TOTALS_DELAY
from readings.window import Window, window_of_day

HOUR = timedelta(hours=1)
MAX_READINGS = HOURLY_FROM // timedelta(minutes=1)
"""The most readings that a page loads: one per minute of the longest window that is drawn by interval."""


@dataclass(frozen=True)
class Gap:
    """Missing readings in a row: ``missing`` of them, at the intervals from ``start`` to ``end``.

    In a window that is shown by hour, ``start`` is the start of the first hour and ``end`` the last minute of the last.
    """

    start: datetime
    end: datetime
    missing: int


@dataclass(frozen=True)
class MeterReadings:
    """A meter's readings in a window.

    ``points`` has the column ``time`` and the measured values, by interval or, if ``hourly``, by hour. ``latest``
    has the readings themselves; for an hourly window only those of its last day.
    """

    points: pl.DataFrame
    latest: pl.DataFrame
    readings: int
    late: int
    gaps: list[Gap]
    hourly: bool

    @property
    def missing(self) -> int:
        """The number of missing readings."""
        return sum(gap.missing for gap in self.gaps)


def meter_readings(
    snapshot: Snapshot, device_id: str, bounds: Bounds, newest: datetime
) -> MeterReadings:
    """Return a meter's readings in a window, with hourly means if the window is long.

    Args:
        snapshot: where the readings are read from.
        device_id: the meter.
        bounds: start and end of the window.
        newest: the newest interval of the repository; the latest readings are searched before it.
    """
    start, end = bounds
    hourly = end - start >= HOURLY_FROM
    first = max(start, min(end, newest) - DAY) if hourly else start
    readings = _read(snapshot, Window(first, end, device_ids=(device_id,)))
    if not hourly:
        return by_interval(readings, start, end)
    hours = snapshot.hourly_means(Window(start, end, device_ids=(device_id,)))
    return by_hour(hours, readings, start, end)


def by_interval(readings: pl.DataFrame, start: datetime, end: datetime) -> MeterReadings:
    """Return the readings of a window with one point per reading."""
    late = int((readings["arrival_time"] > readings["time"]).sum())
    times = readings["time"].to_list()
    missing = [(time, 1) for time in missing_intervals(times, start, end)]
    gaps = _ranges(missing, own_interval(times), timedelta(0))
    return MeterReadings(readings, readings, len(readings), late, gaps, hourly=False)


def by_hour(
    hours: pl.DataFrame, latest: pl.DataFrame, start: datetime, end: datetime
) -> MeterReadings:
    """Return the readings of a window with one point per hour: the means of that hour.

    Args:
        hours: a row per hour with the columns ``hour``, ``readings``, ``late`` and the means.
        latest: the readings at the window's end.
        start: the window's start.
        end: the window's end.
    """
    # In Polars: a window of fifty years has six million intervals.
    due = pl.DataFrame(
        {"hour": _intervals_due(latest["time"].to_list(), start, end).dt.truncate("1h")}
    )
    missing = pl.col("len").cast(pl.Int64) - pl.col("readings").fill_null(0)
    incomplete = (
        due.group_by("hour")
        .len()
        .join(hours.select("hour", "readings"), on="hour", how="left")
        .select("hour", missing.alias("missing"))
        .filter(pl.col("missing") > 0)
        .sort("hour")
    )
    gaps = _ranges(list(incomplete.iter_rows()), HOUR, HOUR - timedelta(minutes=1))
    return MeterReadings(
        hours.rename({"hour": "time"}),
        latest,
        int(hours["readings"].sum()),
        int(hours["late"].sum()),
        gaps,
        hourly=True,
    )


def missing_intervals(times: list[datetime], start: datetime, end: datetime) -> list[datetime]:
    """Return the intervals of a window that should be stored by now and are not among ``times``.

    ``times`` are those of the meter's readings, ascending. They also say which intervals the meter has.
    """
    stored = set(times)
    return [time for time in _intervals_due(times, start, end) if time not in stored]


def own_interval(times: list[datetime]) -> timedelta:
    """Return the most common time between two readings of a meter; with fewer than two, the simulated fleet's."""
    steps = Counter(later - earlier for earlier, later in pairwise(times))
    return steps.most_common(1)[0][0] if steps else deployment_fleet().interval


def last_hour(snapshot: Snapshot, device_id: str) -> datetime | None:
    """Return the start of the hour with the meter's newest reading, or None if the meter never sent one."""
    starts = [EARLIEST_INSTANT]
    recorded = Meter.objects.filter(device_id=device_id).first()
    if recorded is not None:
        # There may be newer readings, or those of the day have been deleted.
        starts.insert(0, window_of_day(recorded.last_day).start)
    for start in starts:
        window = Window(start, timezone.now(), device_ids=(device_id,))
        hours: list[datetime] = snapshot.hourly_means(window)["hour"].to_list()
        if hours:
            return hours[-1]
    return None


def _intervals_due(times: list[datetime], start: datetime, end: datetime) -> pl.Series:
    """Return the times of the intervals of a window that should be stored by now, ascending."""
    interval, last = own_interval(times), min(end, timezone.now() - TOTALS_DELAY)
    # A meter may send at 00:03, 00:18, …: the intervals are counted from one of its readings.
    anchor = times[-1] if times else start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = anchor + math.ceil((start - anchor) / interval) * interval
    if first > last:
        return pl.Series(dtype=frame.INSTANT)
    return pl.datetime_range(first, last, interval, time_unit="us", eager=True)


def _ranges(missing: list[tuple[datetime, int]], step: timedelta, length: timedelta) -> list[Gap]:
    """Join missing readings that are ``step`` apart. ``length`` is added to the time of the last one."""
    gaps: list[Gap] = []
    for time, count in missing:
        if gaps and gaps[-1].end - length + step == time:
            gaps[-1] = Gap(gaps[-1].start, time + length, gaps[-1].missing + count)
        else:
            gaps.append(Gap(time, time + length, count))
    return gaps


def _read(snapshot: Snapshot, window: Window) -> pl.DataFrame:
    return snapshot.page(window, offset=0, size=MAX_READINGS).readings
