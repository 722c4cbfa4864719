"""Minute counts of data files.

The counts of a file are stored when it is written, see :mod:`minute_statistics`. Those of finished days are also in the
day cache, one file for each day. Each process counts other files once, by reading them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import PurePath
from threading import Lock

import polars as pl

from readings.repositories.delta.data_files import collect, scan_files
from readings.repositories.delta.day_cache import DayCache, FilesByDay
from readings.repositories.delta.day_index import DeltaMinuteIndex
from readings.repositories.delta.folder import Folder
from readings.repositories.delta.minute_statistics import FILE_STATISTICS_SCHEMA, read_statistics
from readings.repositories.minute_index import minute_of_time

_VERSIONS_KEPT = 2
"""The indexes kept for a day that changes: that of the newest version, and an older one for an export that runs."""


class FileCounts:
    """The counts of all files that were requested so far. All versions of the table share them."""

    def __init__(self, folder: Folder, cache: DayCache) -> None:
        self._folder = folder
        self._cache = cache
        self._by_file: dict[str, pl.DataFrame] = {}
        self._indexes: dict[date, dict[tuple[str, ...], DeltaMinuteIndex]] = {}
        self._lock = Lock()

    def index(self, day: date, files: tuple[str, ...]) -> DeltaMinuteIndex:
        """Return the index of a day that has these files."""
        with self._lock:
            kept = self._indexes.setdefault(day, {})
            index = kept.pop(files, None)
            if index is None:
                index = DeltaMinuteIndex(self._get({day: files}))
            kept[files] = index
            if len(kept) > _VERSIONS_KEPT:
                self._forget_oldest(kept)
            return index

    def load(self, by_day: FilesByDay) -> None:
        """Count the files of these days that are not counted yet. Several days at once are faster than one by one."""
        with self._lock:
            self._get(
                {
                    day: files
                    for day, files in by_day.items()
                    if tuple(files) not in self._indexes.get(day, {})
                }
            )

    def statistics(self, by_day: FilesByDay) -> pl.DataFrame:
        """Return the counts of all files of these days: :data:`FILE_STATISTICS_SCHEMA`.

        They do not stay in memory: nothing would forget those of replaced files.
        """
        with self._lock:
            return _join(self._by_file | self._read_missing(by_day), by_day)

    def fill_cache(self, by_day: FilesByDay) -> int:
        """Write the counts of these days to the day cache; return how many days were missing there."""
        cached = self._cache.find(by_day)
        missing = {day: files for day, files in by_day.items() if day not in cached}
        for day, files in missing.items():
            with self._lock:
                counts = self._get({day: files})
            self._cache.store(day, files, counts.with_columns(_file_name()))
        return len(missing)

    def _forget_oldest(self, kept: dict[tuple[str, ...], DeltaMinuteIndex]) -> None:
        """Forget the index that was not used for the longest time, and the counts of files that only it has."""
        oldest = next(iter(kept))
        del kept[oldest]
        for file in set(oldest).difference(*kept):
            self._by_file.pop(file, None)

    def _get(self, by_day: FilesByDay) -> pl.DataFrame:
        """Return the counts of the files of these days: :data:`FILE_STATISTICS_SCHEMA`. They stay in memory."""
        self._by_file |= self._read_missing(by_day)
        return _join(self._by_file, by_day)

    def _read_missing(self, by_day: FilesByDay) -> dict[str, pl.DataFrame]:
        """Return the counts of those files of these days that are not in memory."""
        found = self._read_cache(by_day)
        files = self._unknown(file for files in by_day.values() for file in files)
        found |= _split_by_file(
            read_statistics(self._folder, [file for file in files if file not in found])
        )
        return found | _count(self._folder, [file for file in files if file not in found])

    def _unknown(self, files: Iterable[str]) -> list[str]:
        return [file for file in files if file not in self._by_file]

    def _read_cache(self, by_day: FilesByDay) -> dict[str, pl.DataFrame]:
        # If only some files of a day are known, the others are new. Then the cache does not have the day yet.
        unknown = {
            day: files
            for day, files in by_day.items()
            if len(self._unknown(files)) == len(files) > 0
        }
        cached = self._cache.find(unknown)
        if not cached:
            return {}
        paths = {PurePath(file).name: file for day in cached for file in unknown[day]}
        # The files of earlier releases do not have all columns.
        counts = self._folder.scan(
            cached.values(), schema=FILE_STATISTICS_SCHEMA, missing_columns="insert"
        )
        return _split_by_file(collect(counts.with_columns(pl.col("file").replace_strict(paths))))


def _join(counts: Mapping[str, pl.DataFrame], by_day: FilesByDay) -> pl.DataFrame:
    of_files = [counts[file] for files in by_day.values() for file in files]
    return pl.concat([pl.DataFrame(schema=FILE_STATISTICS_SCHEMA), *of_files])


def _file_name() -> pl.Expr:
    # The cache holds names without folders, so it stays valid when the table is moved.
    return pl.col("file").str.split("/").list.last()


def _split_by_file(counts: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {part["file"][0]: part for part in counts.partition_by("file")}


def _count(folder: Folder, files: list[str]) -> dict[str, pl.DataFrame]:
    """Return the counts of these files by reading them, without the columns that only a writer knows."""
    if not files:
        return {}
    # Polars numbers the rows across all files; a later step subtracts each file's first number.
    counts = (
        scan_files(folder, files, include_file_paths="file", row_index_name="row")
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
    )
    rows = collect(counts)
    unknown = [name for name in FILE_STATISTICS_SCHEMA if name not in rows.columns]
    nulls = (pl.lit(None, FILE_STATISTICS_SCHEMA[name]).alias(name) for name in unknown)
    return _split_by_file(rows.with_columns(nulls).select(*FILE_STATISTICS_SCHEMA))
