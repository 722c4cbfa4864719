"""The hourly means of a window whose last readings have been read before."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from readings import frame
from readings.repositories.base import HOURLY_MEANS_SCHEMA, Snapshot
from readings.window import RESOLUTION, Window, window_of_day

_MEASURED = list(HOURLY_MEANS_SCHEMA)[3:]
HOURLY_COLUMNS = ("time", "arrival_time", *_MEASURED)
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
    """Return what :meth:`Snapshot.hourly_means` returns for these readings: ``HOURLY_MEANS_SCHEMA``, ascending.

    ``readings`` must have :data:`HOURLY_COLUMNS`.
    """
    energy = pl.when(pl.col("kwh").count() > 0).then(pl.col("kwh").sum())
    return (
        readings.group_by(pl.col("time").dt.truncate("1h").alias("hour"))
        .agg(
            pl.len().alias("readings"),
            frame.is_late().sum().alias("late"),
            *(pl.col(name).mean() for name in _MEASURED if name != "kwh"),
            energy.alias("kwh"),
        )
        .select(pl.col(name).cast(kind) for name, kind in HOURLY_MEANS_SCHEMA.items())
        .sort("hour")
    )
