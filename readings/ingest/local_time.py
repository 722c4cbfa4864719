"""Times of a file that are local times of a time zone.

In autumn, clocks repeat an hour: a local time of it is one of two instants. In spring they skip an hour, whose local
times do not exist. The rules of the zones are those that Polars contains.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import polars as pl

from readings import frame
from readings.instants import EARLIEST_INSTANT, latest_instant

SECOND_TIME = "second_time"
"""The column with the later instant of a time that clocks show twice, and with the only instant of other times."""
SECOND_ARRIVAL = "second_arrival"
"""The same column for ``arrival_time``."""


def is_known_zone(name: str) -> bool:
    """Return whether ``name`` is a time zone, such as ``Europe/Berlin``."""
    try:
        pl.Series([datetime(2023, 1, 1)]).dt.replace_time_zone(name)
    except pl.exceptions.ComputeError:
        return False
    return bool(name)


def is_skipped(local: datetime, zone: str) -> bool:
    """Return whether clocks of the zone never show this local time. Its ``tzinfo`` is ignored."""
    times = pl.DataFrame({"time": [local]}, schema={"time": frame.INSTANT})
    return times.select(_local("time", zone, "earliest")).item() is None


def to_utc(readings: pl.DataFrame, has_offset: Mapping[str, pl.Series], zone: str) -> pl.DataFrame:
    """Return the readings with the instants of local times, and the columns for the second instants.

    ``time`` and ``arrival_time`` (if there is one) hold local times as if they were UTC, except where ``has_offset`` is
    true. They become the first of their instants, an arrival time the first one that is not before the time. A time
    that is skipped or out of bounds becomes null.
    """
    latest = latest_instant()
    for name, second in (("time", SECOND_TIME), ("arrival_time", SECOND_ARRIVAL)):
        if name not in readings.columns:
            same = pl.col(SECOND_TIME).alias(second)
            readings = readings.with_columns(pl.col("time").alias(name), same)
            continue
        exact = pl.lit(has_offset[name])
        first, last = _local(name, zone, "earliest"), _local(name, zone, "latest")
        bounded = pl.col(name).is_between(EARLIEST_INSTANT, latest)
        readings = readings.with_columns(
            pl.when(exact).then(name).otherwise(first).alias(name),
            pl.when(exact).then(name).otherwise(last).alias(second),
        ).with_columns(pl.when(bounded).then(name).alias(name))
    return readings.with_columns(arrival_not_before_time())


def arrival_not_before_time() -> pl.Expr:
    """Return the first instant of the arrival time that is not before the time. If there is none, it is the second."""
    arrived = pl.col("arrival_time") >= pl.col("time")
    return pl.when(arrived).then("arrival_time").otherwise(SECOND_ARRIVAL).alias("arrival_time")


def _local(name: str, zone: str, ambiguous: Literal["earliest", "latest"]) -> pl.Expr:
    """Return the instants of local times; null for those that clocks skip."""
    local = pl.col(name).dt.replace_time_zone(None)
    in_zone = local.dt.replace_time_zone(zone, ambiguous=ambiguous, non_existent="null")
    return in_zone.dt.convert_time_zone("UTC")
