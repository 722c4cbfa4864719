"""When meters sent their first and their last reading, and how many readings they sent in total.

The hourly sums in the day cache are sorted by meter. So the readings of a hundred meters are counted by reading one or
two row groups of each finished day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import polars as pl

from readings import frame
from readings.instants import EARLIEST_INSTANT
from readings.repositories.base import METER_SUMMARIES_SCHEMA
from readings.repositories.delta.data_files import collect
from readings.repositories.delta.decoded_rows import read_device_ids
from readings.repositories.delta.folder import Folder
from readings.repositories.delta.hourly_sums import complete_days, without_days
from readings.window import HOUR, RESOLUTION, Window, is_one_of

ReadIdentities = Callable[[Window], pl.LazyFrame]
"""Returns the columns ``frame.ORDER`` of a window's readings, in any order."""


def summarise_meters(
    folder: Folder, cached: dict[date, str], read: ReadIdentities, device_ids: Sequence[str]
) -> pl.DataFrame:
    """Return :data:`METER_SUMMARIES_SCHEMA` of some meters. ``cached`` are the hourly sums of finished days."""
    window = Window(EARLIEST_INSTANT, device_ids=tuple(device_ids))
    days = complete_days(window, cached)
    hour = pl.col("time").dt.truncate("1h").alias("hour")
    counted = [
        read(rest).group_by("device_id", hour).agg(pl.len().cast(pl.Int64).alias("readings"))
        for rest in without_days(window, days)
    ]
    if days:
        counted.append(_read_counts(folder, [cached[day] for day in days], device_ids))
    hours = collect(
        pl.concat(counted)
        .group_by("device_id")
        .agg(
            pl.col("readings").sum(),
            pl.col("hour").min().alias("first"),
            pl.col("hour").max().alias("last"),
        )
    )
    # The sums have no times, so the first and the last hour of each meter are read.
    ends = pl.concat([hours.select("device_id", hour=end) for end in ("first", "last")]).unique()
    times = [
        read(Window(start, start + HOUR - RESOLUTION, device_ids=tuple(meters)))
        for start, meters in ends.group_by("hour").agg("device_id").iter_rows()
    ]
    exact = pl.concat([frame.empty(frame.ORDER).lazy(), *times]).group_by("device_id")
    first_and_last = exact.agg(
        pl.col("time").min().alias("first"), pl.col("time").max().alias("last")
    )
    found = hours.select("device_id", "readings").join(collect(first_and_last), on="device_id")
    return found.select(*METER_SUMMARIES_SCHEMA).sort("device_id")


def _read_counts(folder: Folder, paths: Sequence[str], device_ids: Sequence[str]) -> pl.LazyFrame:
    counts = folder.scan(paths).filter(is_one_of(device_ids))
    return counts.select("device_id", "hour", "readings")


def last_times_of_minutes(folder: Folder, minutes: pl.DataFrame) -> pl.DataFrame:
    """Return the meters of minutes with one time each, and the newest time of each meter."""
    none = pl.DataFrame(schema={"device_id": pl.String(), "last": frame.INSTANT})
    meters = [
        pl.DataFrame({"device_id": read_device_ids(folder, file, row, readings)}).with_columns(
            pl.lit(last, frame.INSTANT).alias("last")
        )
        for file, row, readings, last in minutes.select(
            "file", "row", "readings", "last"
        ).iter_rows()
    ]
    return pl.concat([none, *meters]).group_by("device_id").agg(pl.col("last").max())
