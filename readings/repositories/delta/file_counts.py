"""Minute counts of data files.

Each process counts a data file once. Files of finished days are counted once for all processes: the counts are
in the day cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from threading import Lock

import polars as pl

from readings.instants import to_micros
from readings.repositories.delta.data_files import RowRange, collect, merge_row_ranges
from readings.repositories.delta.day_cache import DayCache, FilesByDay
from readings.repositories.minute_index import (
    MINUTE_INDEX_SCHEMA,
    MinuteIndex,
    as_int_array,
    minute_of_time,
)

FILE_COUNTS_SCHEMA = {
    "file": pl.String(),
    **MINUTE_INDEX_SCHEMA,
    "row": pl.Int64(),
    "span": pl.Int64(),
}
"""One row per file and minute.

``row`` is the first row of the minute in the file. ``span`` is the number of rows from the first to the last reading
of the minute; if it equals ``readings``, no other readings are between them.
"""


class FileCounts:
    """The counts of all files that were requested so far. All versions of the table share them."""

    def __init__(self, cache: DayCache) -> None:
        self._cache = cache
        self._by_file: dict[str, pl.DataFrame] = {}
        self._lock = Lock()

    def get(self, by_day: FilesByDay) -> pl.DataFrame:
        """Return the counts of these files: :data:`FILE_COUNTS_SCHEMA`. Files without counts are counted first."""
        with self._lock:
            self._by_file |= self._read_cache(by_day)
            files = [file for files in by_day.values() for file in files]
            self._by_file |= _count(file for file in files if file not in self._by_file)
            counts = [self._by_file[file] for file in files]
        return pl.concat([pl.DataFrame(schema=FILE_COUNTS_SCHEMA), *counts])

    def fill_cache(self, by_day: FilesByDay) -> int:
        """Write the counts of these days to the day cache; return how many days were missing there."""
        cached = self._cache.find(by_day)
        missing = {day: files for day, files in by_day.items() if day not in cached}
        for day, files in missing.items():
            self._cache.store(day, files, self.get({day: files}).with_columns(_file_name()))
        return len(missing)

    def _read_cache(self, by_day: FilesByDay) -> dict[str, pl.DataFrame]:
        unknown = {
            day: files
            for day, files in by_day.items()
            if any(file not in self._by_file for file in files)
        }
        cached = self._cache.find(unknown)
        if not cached:
            return {}
        paths = {Path(file).name: file for day in cached for file in unknown[day]}
        counts = pl.read_parquet(list(cached.values()), glob=False)
        return _split_by_file(counts.with_columns(pl.col("file").replace_strict(paths)))


def _file_name() -> pl.Expr:
    # The cache holds names without folders, so it stays valid when the table is moved.
    return pl.col("file").str.split("/").list.last()


def _split_by_file(counts: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {part["file"][0]: part for part in counts.partition_by("file")}


def _count(files: Iterable[str]) -> dict[str, pl.DataFrame]:
    paths = list(files)
    if not paths:
        return {}
    # Polars numbers the rows across all files; the last step subtracts each file's first number.
    counts = (
        pl.scan_parquet(paths, include_file_paths="file", row_index_name="row", glob=False)
        .select("file", "time", "arrival_time", pl.col("row").cast(pl.Int64))
        .group_by("file", minute_of_time())
        .agg(
            pl.len().cast(pl.Int64).alias("readings"),
            pl.col("time").min().alias("first"),
            pl.col("time").max().alias("last"),
            pl.col("arrival_time").min().alias("first_arrival"),
            pl.col("arrival_time").max().alias("last_arrival"),
            pl.col("row").min(),
            (pl.col("row").max() - pl.col("row").min() + 1).alias("span"),
        )
        .with_columns(pl.col("row") - pl.col("row").min().over("file"))
        .select(*FILE_COUNTS_SCHEMA)
    )
    return _split_by_file(collect(counts))


class DeltaMinuteIndex(MinuteIndex):
    """The minutes of one version, and the rows of the data files that hold them."""

    def __init__(self, counts: pl.DataFrame) -> None:
        """``counts`` has the columns of :data:`FILE_COUNTS_SCHEMA`."""
        rows = counts.sort("minute")
        self._minute_of_row = as_int_array(rows["minute"])
        self._rows = rows.select("file", "row", "readings", "span")
        minutes = rows.group_by("minute", maintain_order=True).agg(
            pl.col("readings").sum(),
            pl.col("first", "first_arrival").min(),
            pl.col("last", "last_arrival").max(),
        )
        super().__init__(minutes)

    def row_ranges(self, first: datetime, last: datetime) -> tuple[RowRange, ...] | None:
        """Return the rows of the minutes from ``first`` to ``last``, as :func:`merge_row_ranges` does."""
        start = self._minute_of_row.searchsorted(to_micros(first))
        end = self._minute_of_row.searchsorted(to_micros(last), side="right")
        return merge_row_ranges(self._rows[start:end].iter_rows())
