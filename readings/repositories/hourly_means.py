"""Hourly means: their formula, and those of a window whose last readings were read before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from readings import frame
from readings.repositories.base import HOURLY_MEANS_SCHEMA, Snapshot
from readings.window import RESOLUTION, Window, window_of_day

MEASURED = list(HOURLY_MEANS_SCHEMA)[3:]
"""The columns of hourly means, and the energy, which is a sum."""
COUNTS_WITHOUT = {name: f"without_{name}" for name in MEASURED}
"""The column with the number of readings without each measure."""
COUNTS = ["readings", "late", *COUNTS_WITHOUT.values()]
HOURLY_COLUMNS = ("time", "arrival_time", *MEASURED)
"""The columns of the readings from which hourly means are computed."""


def hourly_means_with_last_day(
    snapshot: Snapshot, window: Window, last: Window, readings: pl.DataFrame
) -> pl.DataFrame:
    """Return ``snapshot.hourly_means(window)``, but compute those of the last day with readings from ``readings``.

    Args:
        snapshot: where the readings of the other days are read from.
        window: the window of the hourly means.
        last: the end of ``window``: it has the same end and the same meters.
        readings: all readings of ``last``, in order, with :data:`HOURLY_COLUMNS`.
    """
    if readings.is_empty():
        return snapshot.hourly_means(window)
    midnight = window_of_day(readings["time"][-1].date()).start
    if midnight < last.start:
        return snapshot.hourly_means(window)
    before = snapshot.hourly_means(replace(window, end=midnight - RESOLUTION))
    return pl.concat([before, hourly_means_of(readings.filter(pl.col("time") >= midnight))])


def hourly_means_of(readings: pl.DataFrame) -> pl.DataFrame:
    """Return what :meth:`Snapshot.hourly_means` returns for these readings, which must have :data:`HOURLY_COLUMNS`."""
    return to_hourly_means(sum_by_hour(readings.lazy()).collect())


def sum_by_hour(readings: pl.LazyFrame, *, by: Iterable[str] = ()) -> pl.LazyFrame:
    """Return the numbers of readings, late readings and missing measures, and the sums of the measured columns.

    One row per hour and distinct values of the columns ``by``.
    """
    return (
        readings.with_columns(
            pl.col("time").dt.truncate("1h").alias("hour"),
            pl.lit(1, pl.Int64).alias("readings"),
            frame.is_late().cast(pl.Int64).alias("late"),
            *(
                pl.col(name).is_null().cast(pl.Int64).alias(COUNTS_WITHOUT[name])
                for name in MEASURED
            ),
        )
        .group_by(*by, "hour")
        .agg(pl.col(COUNTS + MEASURED).sum())
    )


def to_hourly_means(sums: pl.DataFrame) -> pl.DataFrame:
    """Return the means and the energy of each hour from its sums. A mean is that of the readings with the measure.

    :data:`HOURLY_MEANS_SCHEMA`, ascending. A value is null if no reading has the measure.
    """
    number = {name: pl.col("readings") - pl.col(COUNTS_WITHOUT[name]) for name in MEASURED}
    shown = {name: pl.col(name).cast(pl.Float64) / number[name] for name in MEASURED}
    shown["kwh"] = pl.col("kwh").cast(pl.Float64)
    return (
        sums.with_columns(
            pl.when(number[name] > 0).then(shown[name]).alias(name) for name in MEASURED
        )
        .select(pl.col(name).cast(kind) for name, kind in HOURLY_MEANS_SCHEMA.items())
        .sort("hour")
    )
