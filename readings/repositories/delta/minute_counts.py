"""How many readings a Delta table's version holds by minute.

A data file is counted once in a process, or once for all when its day has settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from threading import Lock

import polars as pl

from readings.repositories.delta.data_files import Run, collected, runs_of
from readings.repositories.delta.day_cache import DayFiles, KeptByDay
from readings.repositories.minute_index import TOTALS_SCHEMA, MinuteTotals, integers, micros_of

FILE_COUNTS_SCHEMA = {"file": pl.String(), **TOTALS_SCHEMA, "row": pl.Int64(), "span": pl.Int64()}
"""``row`` is where a minute's readings begin in the file; they lie together when ``span`` == ``readings``."""


def minute_of_time() -> pl.Expr:
    """The whole minute that ``time`` lies in."""
    return pl.col("time").dt.truncate("1m")


class MinuteCounts:
    """Counts of the files that were asked for so far, shared by every version of the table."""

    def __init__(self, kept: KeptByDay) -> None:
        self._kept = kept
        self._by_file: dict[str, pl.DataFrame] = {}
        self._lock = Lock()

    def of(self, by_day: DayFiles) -> pl.DataFrame:
        """A row for each file and minute, columns of :data:`FILE_COUNTS_SCHEMA`."""
        with self._lock:
            self._by_file |= self._read_kept(by_day)
            files = [file for files in by_day.values() for file in files]
            self._by_file |= _counted(file for file in files if file not in self._by_file)
            counts = [self._by_file[file] for file in files]
        return pl.concat([pl.DataFrame(schema=FILE_COUNTS_SCHEMA), *counts])

    def keep(self, by_day: DayFiles) -> int:
        """Spare other processes counting the files of these days; says of how many that is new."""
        kept = self._kept.of(by_day)
        wanted = {day: files for day, files in by_day.items() if day not in kept}
        for day, files in wanted.items():
            self._kept.keep(day, files, self.of({day: files}).with_columns(_names_of_files()))
        return len(wanted)

    def _read_kept(self, by_day: DayFiles) -> dict[str, pl.DataFrame]:
        new = {
            day: files
            for day, files in by_day.items()
            if any(file not in self._by_file for file in files)
        }
        kept = self._kept.of(new)
        if not kept:
            return {}
        paths = {Path(file).name: file for day in kept for file in new[day]}
        counts = pl.read_parquet(list(kept.values()))
        return _by_file(counts.with_columns(pl.col("file").replace_strict(paths)))


def _names_of_files() -> pl.Expr:
    # A table may be moved, and its files keep their names.
    return pl.col("file").str.split("/").list.last()


def _by_file(counts: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {part["file"][0]: part for part in counts.partition_by("file")}


def _counted(files: Iterable[str]) -> dict[str, pl.DataFrame]:
    names = list(files)
    if not names:
        return {}
    # Rows are numbered across all the files, and so from each file's first.
    counts = (
        pl.scan_parquet(names, include_file_paths="file", row_index_name="row")
        .select("file", "time", "arrival_time", pl.col("row").cast(pl.Int64))
        .group_by("file", minute_of_time().alias("minute"))
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
    return _by_file(collected(counts))


class Minutes(MinuteTotals):
    """The minutes of a version, and where in its files they lie."""

    def __init__(self, counts: pl.DataFrame) -> None:
        by_file = counts.sort("minute")
        self._minutes_by_file = integers(by_file["minute"])
        self._places = by_file.select("file", "row", "readings", "span")
        totals = by_file.group_by("minute", maintain_order=True).agg(
            pl.col("readings").sum(),
            pl.col("first", "first_arrival").min(),
            pl.col("last", "last_arrival").max(),
        )
        super().__init__(totals)

    def runs(self, first: datetime, last: datetime) -> tuple[Run, ...] | None:
        """Where the readings of the minutes from ``first`` to ``last`` lie; see :func:`runs_of`."""
        start = self._minutes_by_file.searchsorted(micros_of(first))
        end = self._minutes_by_file.searchsorted(micros_of(last), side="right")
        return runs_of(self._places[start:end].iter_rows())
