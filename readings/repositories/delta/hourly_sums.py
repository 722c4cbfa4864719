"""Hourly sums of each meter, for the day cache.

Readings are sorted by time, so the readings of one meter are in as many places as there are intervals: 105,120 places
for a year. In the hourly sums of finished days, they are in 365 places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date

import polars as pl

from readings import frame
from readings.instants import LAST_INSTANT
from readings.repositories.delta.folder import Folder
from readings.repositories.hourly_means import COUNTS, COUNTS_WITHOUT, MEASURED, sum_by_hour
from readings.window import DAY, RESOLUTION, Window, window_of_day

_SUMS_SCHEMA = {
    "device_id": pl.String(),
    "hour": frame.INSTANT,
    **dict.fromkeys(COUNTS, pl.Int64()),
    **dict.fromkeys(MEASURED, pl.Float32()),
}
"""The columns of a cache file.

Files of earlier releases do not have the energy and the numbers of missing measures: no other measure could be missing.
"""
COLUMNS = [*frame.VERSION, *MEASURED]
"""The columns of the readings that are summed."""


def sum_meters_by_hour(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the sums of a day's readings, one row per meter and hour; ``frames`` are readings frames.

    The sums are in single precision, which takes half the space. Its seven digits are enough for a mean.
    """
    parts = [sum_by_hour(readings.lazy(), by=["device_id"]).collect() for readings in frames]
    hours = pl.concat(parts).group_by("device_id", "hour").sum().sort("device_id", "hour")
    return hours.with_columns(pl.col(MEASURED).cast(pl.Float32)).select(*_SUMS_SCHEMA)


def read_sums(folder: Folder, paths: Sequence[str], device_ids: Sequence[str]) -> pl.LazyFrame:
    """Return the cached sums of some meters, or of all if ``device_ids`` is empty, one row per hour."""
    hours = folder.scan(paths, schema=_SUMS_SCHEMA, missing_columns="insert")
    if device_ids:
        hours = hours.filter(pl.col("device_id").is_in(list(device_ids)))
    without_energy = pl.col(COUNTS_WITHOUT["kwh"]).fill_null(pl.col("readings"))
    return (
        hours.with_columns(pl.col(MEASURED).cast(pl.Float64), without_energy)
        .group_by("hour")
        .agg(pl.col(COUNTS + MEASURED).sum())
    )


def complete_days(window: Window, days: Iterable[date]) -> list[date]:
    """Return those days that are entirely in the window, ascending; none if the window bounds the arrival time."""
    if window.bounds_arrival_time:
        return []
    end = window.end or LAST_INSTANT
    windows = [(day, window_of_day(day)) for day in sorted(days)]
    return [day for day, each in windows if window.start <= each.start and (each.end or end) <= end]


def without_days(window: Window, days: Iterable[date]) -> Iterator[Window]:
    """Yield the windows that remain of ``window`` without some complete days. ``days`` are ascending."""
    start = window.start
    for day in days:
        midnight = window_of_day(day).start
        if start < midnight:
            yield replace(window, start=start, end=midnight - RESOLUTION)
        start = midnight + DAY
    if window.end is None or start <= window.end or start == window.start:
        yield replace(window, start=start)
