"""How complete the readings of a meter are, compared with the meter's own interval.

The interval is the most common time between two readings of the last two days on which the meter sent some. So the
readings of an hourly meter are complete, although other meters send every five minutes. Readings are expected from the
meter's first one to the newest interval of all meters: a meter that stopped last year is less complete every day.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from readings import frame
from readings.cancellation import raise_if_cancelled
from readings.repositories import Snapshot
from readings.window import DAY, RESOLUTION, Window

_MINUTE = timedelta(minutes=1)
_DECIMALS = 4


def with_completeness(
    snapshot: Snapshot, meters: pl.DataFrame, newest: datetime | None
) -> pl.DataFrame:
    """Return ``meters`` with the columns ``completeness_last_day`` and ``completeness``, from 0 to 1.

    They are rounded down, so only a complete meter has 1. They are null if the interval of a meter is not known: it has
    fewer than two readings in its last two days.

    Args:
        snapshot: where the readings are.
        meters: the columns of ``METER_SUMMARIES_SCHEMA``.
        newest: the newest interval of all meters; None without readings. The last day is the 24 hours up to it.
    """
    if newest is None or meters.is_empty():
        nulls = (
            pl.lit(None, pl.Float64).alias(name)
            for name in ("completeness_last_day", "completeness")
        )
        return meters.with_columns(nulls)
    times = _recent_times(snapshot, meters, newest)
    last_day = times.filter(
        (pl.col("time") > frame.literal(newest - DAY)) & (pl.col("time") <= frame.literal(newest))
    )
    return (
        meters.join(_intervals(times), on="device_id", how="left", maintain_order="left")
        .join(
            last_day.group_by("device_id").len("received"),
            on="device_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.col("received").fill_null(0),
            up_to_newest=_expected_up_to(newest),
            up_to_last_day=_expected_up_to(newest - DAY),
        )
        .select(
            *meters.columns,
            _share("received", pl.col("up_to_newest") - pl.col("up_to_last_day")).alias(
                "completeness_last_day"
            ),
            _share("readings", pl.col("up_to_newest")).alias("completeness"),
        )
    )


def _recent_times(snapshot: Snapshot, meters: pl.DataFrame, newest: datetime) -> pl.DataFrame:
    """Return the columns ``frame.ORDER`` of each meter's readings on its last day and the day before it."""
    last_day = pl.min_horizontal("last", frame.literal(newest)).dt.truncate("1d").alias("day")
    raise_if_cancelled()
    return snapshot.reading_times(
        *(
            Window(day - DAY, day + DAY - RESOLUTION, tuple(same["device_id"]))
            for (day,), same in meters.group_by(last_day)
        )
    )


def _intervals(times: pl.DataFrame) -> pl.DataFrame:
    """Return the columns ``device_id`` and ``interval``. Of two equally common intervals, it takes the shorter one."""
    step = pl.col("time").diff().over("device_id")
    return (
        times.sort("device_id", "time")
        .select("device_id", step.clip(lower_bound=_MINUTE).alias("interval"))
        .drop_nulls()
        .group_by("device_id", "interval")
        .len()
        .sort("len", "interval", descending=[True, False])
        .unique("device_id", keep="first", maintain_order=True)
        .drop("len")
    )


def _expected_up_to(end: datetime) -> pl.Expr:
    """Return how many readings a meter should have from its first one to ``end``."""
    since_first = (frame.literal(end) - pl.col("first")).dt.total_microseconds()
    steps = since_first // pl.col("interval").dt.total_microseconds()
    return pl.max_horizontal(steps + 1, 0 * steps)


def _share(received: str, expected: pl.Expr) -> pl.Expr:
    parts = 10**_DECIMALS
    share = (pl.col(received).cast(pl.Int64) * parts // expected).clip(upper_bound=parts) / parts
    # Polars multiplies by the reciprocal, so the quotient has rounding errors.
    return pl.when(expected > 0).then(share.round(_DECIMALS))
