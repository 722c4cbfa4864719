"""Summaries of days, for the day cache: what ``manage.py readings`` shows.

Their meters are the distinct device ids of the day, so that the meters of many days can be counted without reading
their readings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import polars as pl

from readings import frame
from readings.repositories.delta.data_files import scan
from readings.repositories.delta.day_cache import FilesByDay

_DAY_SUMMARY_SCHEMA = {
    "day": pl.Date(),
    "earliest": frame.INSTANT,
    "latest": frame.INSTANT,
    "readings": pl.Int64(),
    "intervals": pl.Int64(),
    "device_ids": pl.List(pl.String()),
}


def summarise(readings: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row per day: :data:`_DAY_SUMMARY_SCHEMA`, in any order. ``device_ids`` are distinct."""
    return (
        readings.group_by(pl.col("time").dt.date().alias("day"))
        .agg(
            pl.col("time").min().alias("earliest"),
            pl.col("time").max().alias("latest"),
            pl.len().cast(pl.Int64).alias("readings"),
            pl.col("time").n_unique().cast(pl.Int64).alias("intervals"),
            pl.col("device_id").unique().alias("device_ids"),
        )
        .select(*_DAY_SUMMARY_SCHEMA)
    )


def read_or_summarise(by_day: FilesByDay, cached: Mapping[date, Path]) -> pl.LazyFrame:
    """Return the summaries of these days. Those without a cache file are computed from their data files."""
    return pl.concat(
        [pl.LazyFrame(schema=_DAY_SUMMARY_SCHEMA), *_read_or_summarise(by_day, cached)]
    )


def _read_or_summarise(by_day: FilesByDay, cached: Mapping[date, Path]) -> Iterator[pl.LazyFrame]:
    if cached:
        yield scan(list(cached.values()))
    files = [file for day, files in by_day.items() if day not in cached for file in files]
    if files:
        yield summarise(scan(files))
