"""Summaries of days, for the day cache: what ``manage.py readings`` shows.

Their meters are the distinct device ids of the day, so that the meters of many days can be counted without reading
their readings.
"""

from __future__ import annotations

import polars as pl

from readings import frame
from readings.repositories.delta.data_files import scan_files
from readings.repositories.delta.day_cache import FilesByDay
from readings.repositories.delta.decoded_rows import read_device_ids
from readings.repositories.delta.file_counts import FileCounts
from readings.repositories.delta.file_kinds import Kind, is_of_kind
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
    # Each reading is in exactly one main file.
    of_main_files = counts.statistics(by_day).filter(is_of_kind(Kind.MAIN, "file"))
    statistics = of_main_files.with_columns(pl.col("minute").dt.date().alias("day"))
    days = _summarise_statistics(statistics)
    described = days.filter("is_described")
    summaries = [_with_device_ids(folder, described, statistics).lazy()]
    others = statistics.join(days.filter(~pl.col("is_described")), on="day", how="semi")
    if not others.is_empty():
        summaries.append(_summarise(scan_files(folder, others["file"].unique().to_list())))
    return pl.concat(summaries)


def _summarise_statistics(statistics: pl.DataFrame) -> pl.DataFrame:
    """Return one row per day. Instead of ``device_ids``, it has ``meters``: the hashes of the day's sets of meters.

    ``is_described`` is false if the statistics are not enough, so the day must be read.
    """
    minutes = statistics.group_by("day", "minute").agg(
        pl.col("first").min(),
        pl.col("last").max(),
        pl.col("times").max(),
        pl.col("readings").sum(),
        pl.len().alias("files"),
    )
    # If a minute has several times, two files may have readings of the same time.
    has_unknown_times = (pl.col("first") != pl.col("last")) & (pl.col("files") > 1)
    days = minutes.group_by("day").agg(
        pl.col("first").min().alias("earliest"),
        pl.col("last").max().alias("latest"),
        pl.col("readings").sum(),
        pl.col("times").sum().alias("intervals"),
        has_unknown_times.any().alias("has_unknown_times"),
    )
    sets = statistics.group_by("day").agg(
        pl.col("meters").unique().sort(), pl.col("meters").is_null().any().alias("has_no_hash")
    )
    has_few_sets = pl.col("meters").list.len() <= _MAX_METER_SETS_OF_A_DAY
    is_described = has_few_sets & ~pl.col("has_unknown_times") & ~pl.col("has_no_hash")
    return days.join(sets, on="day").with_columns(is_described.alias("is_described"))


def _with_device_ids(folder: Folder, days: pl.DataFrame, statistics: pl.DataFrame) -> pl.DataFrame:
    """Return :data:`_DAY_SUMMARY_SCHEMA` of these days, all of which are described."""
    sets = statistics.join(days, on="day", how="semi").unique("meters")
    device_ids = {
        hash_of_set: read_device_ids(folder, file, row, readings)
        for hash_of_set, file, row, readings in sets.select(
            "meters", "file", "row", "readings"
        ).rows()
    }
    sets_of_days = [tuple(hashes) for hashes in days["meters"].to_list()]
    lists = {
        # Other ways to make a list than `implode` convert each id to a Python string.
        hashes: pl.concat([device_ids[each] for each in hashes])
        .unique(maintain_order=True)
        .implode()
        for hashes in set(sets_of_days)
    }
    no_lists = pl.Series("device_ids", [], _DAY_SUMMARY_SCHEMA["device_ids"])
    lists_of_days = pl.concat([no_lists, *(lists[hashes] for hashes in sets_of_days)])
    return days.with_columns(lists_of_days.alias("device_ids")).select(*_DAY_SUMMARY_SCHEMA)


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
