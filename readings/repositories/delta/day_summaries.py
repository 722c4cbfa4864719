"""Summaries of days, for the day cache: what ``manage.py readings`` shows.

Their meters are the distinct device ids of the day, so that the meters of many days can be counted without reading
their readings.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import polars as pl

from readings import frame
from readings.repositories.delta.data_files import scan_files
from readings.repositories.delta.day_cache import FilesByDay
from readings.repositories.delta.decoded_rows import read_device_ids
from readings.repositories.delta.file_counts import FileCounts
from readings.repositories.delta.folder import Folder

_DAY_SUMMARY_SCHEMA = {
    "day": pl.Date(),
    "earliest": frame.INSTANT,
    "latest": frame.INSTANT,
    "readings": pl.Int64(),
    "intervals": pl.Int64(),
    "device_ids": pl.List(pl.String()),
}
_MAX_METER_SETS_OF_A_DAY = 32
"""If the minutes of a day have more different sets of meters than this, reading the whole day is faster."""


def read_summaries(folder: Folder, paths: list[str]) -> pl.LazyFrame:
    """Return the summaries in these cache files: :data:`_DAY_SUMMARY_SCHEMA`, in any order."""
    return folder.scan(paths) if paths else pl.LazyFrame(schema=_DAY_SUMMARY_SCHEMA)


def summarise_days(folder: Folder, by_day: FilesByDay, counts: FileCounts) -> pl.LazyFrame:
    """Return one row per day: :data:`_DAY_SUMMARY_SCHEMA`, in any order. ``device_ids`` are distinct.

    The statistics of the data files are enough if the minutes of a day have the same meters. Other days are read.
    """
    counts.load(by_day)
    # Main files have every reading.
    statistics = {
        day: counts.index(day, tuple(files)).main.statistics for day, files in by_day.items()
    }
    described = {day: rows for day, rows in statistics.items() if _are_enough(rows)}
    others = (statistics[day] for day in statistics.keys() - described.keys())
    files = [file for rows in others for file in rows["file"].unique()]
    summaries = pl.LazyFrame(schema=_DAY_SUMMARY_SCHEMA)
    if described:
        summaries = pl.concat(_summarise_described(folder, described)).lazy()
    return pl.concat([summaries, _summarise(scan_files(folder, files))]) if files else summaries


def _are_enough(rows: pl.DataFrame) -> bool:
    if rows["meters"].has_nulls() or rows["meters"].n_unique() > _MAX_METER_SETS_OF_A_DAY:
        return False
    # Two files may have readings of the same time within a minute of several times.
    several_times = rows.group_by("minute").agg(
        pl.col("first").min() != pl.col("last").max(), pl.len().alias("files")
    )
    return several_times.filter(pl.col("first") & (pl.col("files") > 1)).is_empty()


def _summarise_described(folder: Folder, days: dict[date, pl.DataFrame]) -> Iterator[pl.DataFrame]:
    device_ids: dict[int, pl.Series] = {}
    for day, rows in days.items():
        sets = rows.unique("meters")
        for meters, file, row, readings in sets.select(
            "meters", "file", "row", "readings"
        ).iter_rows():
            if meters not in device_ids:
                device_ids[meters] = read_device_ids(folder, file, row, readings)
        minutes = rows.group_by("minute").agg(pl.col("times").max())
        # Polars copies a series into a list of strings by way of Python's strings, but not by `implode`.
        meters_of_day = pl.concat([device_ids[meters] for meters in sets["meters"]])
        yield pl.DataFrame(
            {
                "day": day,
                "earliest": rows["first"].min(),
                "latest": rows["last"].max(),
                "readings": rows["readings"].sum(),
                "intervals": minutes["times"].sum(),
            },
            schema_overrides=_DAY_SUMMARY_SCHEMA,
        ).with_columns(meters_of_day.unique().implode().alias("device_ids"))


def _summarise(readings: pl.LazyFrame) -> pl.LazyFrame:
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
