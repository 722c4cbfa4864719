"""What each meter's hours come to.

A meter's readings lie among those of all the others, in every interval of a day: a year of one meter would be
searched for in 105,120 places. Kept by the hour for the days that have settled, it is read in 365.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from readings.repositories.base import HOURS_SCHEMA
from readings.window import DAY, RESOLUTION, Window, window_of_day

MEASURED = list(HOURS_SCHEMA)[3:]
_COUNTS = ["readings", "late"]


def sums_by(by: Iterable[str], readings: pl.LazyFrame) -> pl.LazyFrame:
    """Counts of readings and sums of what they measured, by the hour and more."""
    return (
        readings.with_columns(
            pl.col("time").dt.truncate("1h").alias("hour"),
            pl.lit(1, pl.Int64).alias("readings"),
            (pl.col("arrival_time") > pl.col("time")).cast(pl.Int64).alias("late"),
        )
        .group_by(*by, "hour")
        .agg(pl.col(_COUNTS + MEASURED).sum())
    )


def means(sums: pl.DataFrame) -> pl.DataFrame:
    """Sums of distinct hours as columns of :data:`HOURS_SCHEMA`, ascending."""
    return (
        sums.with_columns(pl.col(MEASURED).cast(pl.Float64) / pl.col("readings"))
        .select(pl.col(name).cast(kind) for name, kind in HOURS_SCHEMA.items())
        .sort("hour")
    )


def summed_up(readings: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The sums of a day's readings by meter and hour, given frame by frame.

    In single precision: it holds seven digits, more than a mean's, in half the room.
    """
    some = [sums_by(["device_id"], each.lazy()).collect() for each in readings]
    hours = pl.concat(some).group_by("device_id", "hour").sum().sort("device_id", "hour")
    return hours.with_columns(pl.col(MEASURED).cast(pl.Float32))


def read(paths: Sequence[Path], device_ids: Sequence[str]) -> pl.LazyFrame:
    """The kept sums of some meters, or of all, by the hour."""
    hours = pl.scan_parquet(list(paths))
    if device_ids:
        hours = hours.filter(pl.col("device_id").is_in(list(device_ids)))
    return (
        hours.with_columns(pl.col(MEASURED).cast(pl.Float64))
        .group_by("hour")
        .agg(pl.col(_COUNTS + MEASURED).sum())
    )


def within(window: Window, days: Iterable[date]) -> list[date]:
    """The days that lie in the window whole, ascending; none if it bounds the arrival."""
    if window.arrived_after is not None or window.as_of is not None:
        return []
    end = window.end or datetime.max.replace(tzinfo=UTC)
    whole = [(day, window_of_day(day)) for day in sorted(days)]
    return [day for day, each in whole if window.start <= each.start and (each.end or end) <= end]


def without(window: Window, days: Iterable[date]) -> Iterator[Window]:
    """What is left of a window when some days, ascending, are taken out of it."""
    start = window.start
    for day in days:
        midnight = window_of_day(day).start
        if start < midnight:
            yield replace(window, start=start, end=midnight - RESOLUTION)
        start = midnight + DAY
    if window.end is None or start <= window.end or start == window.start:
        yield replace(window, start=start)
