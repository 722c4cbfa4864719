"""The readings of one meter in a window, prepared for its page: points to draw and missing intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
from django.db.models import Min
from django.utils import timezone

from headend.portal.coverage import DAY, MINUTE
from headend.portal.fleet_load import HOURLY_FROM
from headend.portal.forms import Bounds
from readings import frame
from readings.ingest.deployment_fleet import deployment_fleet
from readings.instants import EARLIEST_INSTANT, to_micros
from readings.models import IntervalTotals, Meter
from readings.repositories import Snapshot
from readings.repositories.hourly_means import HOURLY_COLUMNS, hourly_means_with_last_day
from readings.repositories.minute_index import as_int_array
from readings.totals import TOTALS_DELAY
from readings.window import HOUR, RESOLUTION, Window, window_of_day

MAX_READINGS = HOURLY_FROM // MINUTE
"""The largest number of readings that a page loads: one per minute of the longest window that is drawn by interval."""
LATEST_READINGS = 12
"""The page lists this many readings, with all columns."""
_SHOWN_IF_HOURLY = (*HOURLY_COLUMNS, "quality")
"""The columns that the page needs of all listed readings, if the charts show hours."""
_SHOWN = tuple(
    name for name in frame.FULL_COLUMNS if name not in ("load", "kva", "import_kwh", "export_kwh")
)
"""The columns that the page shows of all listed readings, if the charts show intervals."""
_FIRST_AND_LAST = ("load", "import_kwh", "export_kwh")
"""The page shows the first or the last value of these columns, whichever readings have it."""


@dataclass(frozen=True)
class Gap:
    """Missing readings in a row: ``missing`` of them, at the intervals from ``start`` to ``end``.

    If ``is_hour``, the hour from ``start`` has readings, but ``missing`` of them are missing; ``end`` is ``start``.
    """

    start: datetime
    end: datetime
    missing: int
    is_hour: bool = False


@dataclass(frozen=True)
class MeterReadings:
    """A meter's readings in a window.

    ``points`` has the column ``time`` and the measured values, by interval or, if ``hourly``, by hour: the energy of
    the hour, and the means of the other measures. ``latest`` has the readings themselves, with the columns of
    ``frame.FULL_SCHEMA``; for an hourly window only those of its last day. If the window is longer than a day, a column
    that is shown of the first and the last readings only may be null in the others. If ``hourly``, ``partial`` has the
    hours without all of their readings.
    """

    points: pl.DataFrame
    latest: pl.DataFrame
    readings: int
    late: int
    gaps: list[Gap]
    hourly: bool
    partial: frozenset[datetime] = frozenset()

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
    window = Window(start, end, device_ids=(device_id,))
    listed = replace(window, start=listed_from(bounds, newest))
    hourly = end - start >= HOURLY_FROM
    if end - start <= DAY or not snapshot.reads_few_columns_faster:
        readings = _read(snapshot, listed, frame.FULL_COLUMNS)
    else:
        readings = _read_shown(snapshot, listed, _SHOWN_IF_HOURLY if hourly else _SHOWN)
    if not hourly:
        has_start = len(readings) > 0 and readings["time"][0] == start
        first = start if has_start else _expected_from(snapshot, device_id, bounds)
        return by_interval(readings, first, end)
    # The repository has no sums of a day that has not ended, and would read the listed readings again.
    hours = (
        hourly_means_with_last_day(snapshot, window, listed, readings)
        if len(readings) < MAX_READINGS
        else snapshot.hourly_means(window)
    )
    return by_hour(hours, readings, _expected_from(snapshot, device_id, bounds), end)


def _expected_from(snapshot: Snapshot, device_id: str, bounds: Bounds) -> datetime:
    """Return the instant from which readings are expected: the window's start, or the meter's first reading if later.

    If the meter has no readings up to the window's end, the instant after the end is returned.
    """
    start, end = bounds
    totals = IntervalTotals.objects.filter(time__lt=start)
    earliest = totals.aggregate(earliest=Min("time"))["earliest"] or start
    window = Window(earliest, end, device_ids=(device_id,))
    page = snapshot.page(window, offset=0, size=1, columns=("time",))
    times: list[datetime] = page.readings["time"].to_list()
    return max(start, times[0]) if times else end + RESOLUTION


def listed_from(bounds: Bounds, newest: datetime) -> datetime:
    """Return from which instant the page lists readings: all of a short window, or the last day of a long one."""
    start, end = bounds
    return start if end - start < HOURLY_FROM else max(start, min(end, newest) - DAY)


def by_interval(readings: pl.DataFrame, start: datetime, end: datetime) -> MeterReadings:
    """Return the readings of a window with one point per reading."""
    late = int((readings["arrival_time"] > readings["time"]).sum())
    times = readings["time"].to_list()
    missing = (Gap(time, time, 1) for time in missing_intervals(times, start, end))
    gaps = _join(missing, own_interval(times))
    return MeterReadings(readings, readings, len(readings), late, gaps, hourly=False)


def by_hour(
    hours: pl.DataFrame, latest: pl.DataFrame, start: datetime, end: datetime
) -> MeterReadings:
    """Return the readings of a window with one point per hour: its energy, and the means of the other measures.

    Args:
        hours: a row per hour with the columns ``hour``, ``readings``, ``late`` and the means.
        latest: the readings at the window's end.
        start: the first instant at which readings are expected.
        end: the window's end.
    """
    grid = _Grid.of(latest["time"].to_list(), start, end)
    gaps = list(grid.incomplete_hours(hours))
    # Not from `gaps`: these do not include the last hour, and hours at the bounds of the window.
    partial = hours.filter(pl.col("readings") < HOUR // grid.interval)["hour"]
    return MeterReadings(
        hours.rename({"hour": "time"}),
        latest,
        int(hours["readings"].sum()),
        int(hours["late"].sum()),
        gaps,
        hourly=True,
        partial=frozenset(partial.to_list()),
    )


def missing_intervals(times: list[datetime], start: datetime, end: datetime) -> list[datetime]:
    """Return the intervals of a window that should be stored by now and are not among ``times``.

    ``times`` are those of the meter's readings, ascending. They also say which intervals the meter has.
    """
    stored = set(times)
    return [time for time in _Grid.of(times, start, end) if time not in stored]


def own_interval(times: list[datetime]) -> timedelta:
    """Return the most common time between two readings of a meter; with fewer than two, the simulated fleet's.

    It is at least a minute: intervals are whole minutes, and readings of a file may be a microsecond apart.
    """
    steps = Counter(later - earlier for earlier, later in pairwise(times))
    return max(MINUTE, steps.most_common(1)[0][0]) if steps else deployment_fleet().interval


def last_hour(snapshot: Snapshot, device_id: str) -> datetime | None:
    """Return the start of the hour with the meter's newest reading, or None if the meter never sent one."""
    starts = [EARLIEST_INSTANT]
    recorded = Meter.objects.filter(device_id=device_id).first()
    if recorded is not None:
        # There may be newer readings, and the readings of this day may have been deleted.
        starts.insert(0, window_of_day(recorded.last_day).start)
    for start in starts:
        window = Window(start, timezone.now(), device_ids=(device_id,))
        hours: list[datetime] = snapshot.hourly_means(window)["hour"].to_list()
        if hours:
            return hours[-1]
    return None


@dataclass(frozen=True)
class _Grid:
    """The intervals of a window that should be stored by now: ``anchor + n * interval``, from ``first`` to ``last``.

    It is not a list, because a window of fifty years has millions of intervals, and a meter has few readings in it.
    """

    anchor: datetime
    interval: timedelta
    first: datetime
    last: datetime

    @classmethod
    def of(cls, times: list[datetime], start: datetime, end: datetime) -> _Grid:
        """Return the grid of a window for a meter with readings at ``times``, which are ascending."""
        # A meter may send at 00:03, 00:18, …: the intervals are counted from one of its readings.
        anchor = times[-1] if times else start.replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(anchor, own_interval(times), start, min(end, timezone.now() - TOTALS_DELAY))

    def __iter__(self) -> Iterator[datetime]:
        first = -((self.anchor - self.first) // self.interval)
        last = (self.last - self.anchor) // self.interval
        return (self.anchor + n * self.interval for n in range(first, last + 1))

    def incomplete_hours(self, stored: pl.DataFrame) -> Iterator[Gap]:
        """Yield the missing intervals of each hour that has some, and of each run of hours without readings, ascending.

        ``stored`` has the hours with readings and their numbers: columns ``hour`` and ``readings``, ascending. The work
        depends on their number, not on the length of the window.
        """
        hours = as_int_array(stored["hour"])
        hour, anchor, interval = (
            HOUR // RESOLUTION,
            to_micros(self.anchor),
            self.interval // RESOLUTION,
        )
        # The span before each hour, the hour, the span before the next one, …, and the span after the last hour.
        starts = np.concatenate(
            [[to_micros(self.first)], np.stack([hours, hours + hour], 1).ravel()]
        )
        ends = np.concatenate([starts[1:] - 1, [to_micros(self.last)]])
        readings = np.zeros(len(starts), np.int64)
        readings[1::2] = as_int_array(stored["readings"])
        first = -((anchor - np.maximum(starts, to_micros(self.first))) // interval)
        last = (np.minimum(ends, to_micros(self.last)) - anchor) // interval
        missing = last - first + 1 - readings
        for n in np.flatnonzero((last >= first) & (missing > 0)):
            start, end = (self.anchor + int(each[n]) * self.interval for each in (first, last))
            if readings[n]:
                start = end = start.replace(minute=0, second=0, microsecond=0)
            yield Gap(start, end, int(missing[n]), is_hour=bool(readings[n]))


def _join(gaps: Iterable[Gap], step: timedelta) -> list[Gap]:
    """Join neighbours: gaps that are ``step`` apart, from the end of one to the start of the next."""
    joined: list[Gap] = []
    for gap in gaps:
        if joined and joined[-1].end + step == gap.start:
            joined[-1] = Gap(joined[-1].start, gap.end, joined[-1].missing + gap.missing)
        else:
            joined.append(gap)
    return joined


def _read_shown(snapshot: Snapshot, window: Window, columns: Sequence[str]) -> pl.DataFrame:
    """Return the meter's readings with the columns of ``frame.FULL_SCHEMA``: all of the first and the last readings.

    The readings between them have these ``columns``, and those of :data:`_FIRST_AND_LAST` that the others do not have.
    To read a column of many readings takes longer than to read a few of them again.
    """
    readings = _read(snapshot, window, columns)
    times = readings["time"]
    if len(times) <= 2 * LATEST_READINGS:
        return _read(snapshot, window, frame.FULL_COLUMNS)
    until, since = times[LATEST_READINGS - 1], times[-LATEST_READINGS]
    first = _read(snapshot, replace(window, end=until), frame.FULL_COLUMNS)
    last = _read(snapshot, replace(window, start=since, end=times[-1]), frame.FULL_COLUMNS)
    between = frame.with_full_columns(readings[LATEST_READINGS:-LATEST_READINGS])
    found = pl.concat([first, between, last])
    wanted = [name for name in _FIRST_AND_LAST if not (first[name].count() and last[name].count())]
    if not wanted:
        return found
    # Some engines see new readings between two queries, so the rows may differ.
    values = _read(snapshot, window, ["time", *wanted])
    joined = found.drop(wanted).join(values, on="time", how="left", maintain_order="left")
    return joined.select(frame.FULL_COLUMNS)


def _read(snapshot: Snapshot, window: Window, columns: Sequence[str]) -> pl.DataFrame:
    return snapshot.page(window, offset=0, size=MAX_READINGS, columns=columns).readings
