"""The data files of a Delta table's version, and the rows in them.

A data file never changes once it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
from deltalake import DeltaTable

from readings import frame
from readings.repositories.base import RepositoryUnavailableError
from readings.repositories.minute_index import integers, micros_of

# Delta keeps a file's least and greatest instants cut to milliseconds.
_STATISTICS_GRAIN = timedelta(milliseconds=1)

PARTITION = "day"
"""The table's partition column: the date of ``time``. Upkeep and other engines go by it."""
MOST_RUNS = 32
"""From how many stretches of rows on a scan that filters is quicker than reading each."""


def collected(readings: pl.LazyFrame) -> pl.DataFrame:
    """What a query of data files comes to. Raises :class:`RepositoryUnavailableError` when one cannot be read."""
    try:
        return readings.collect(engine="streaming")
    except (OSError, pl.exceptions.ComputeError) as error:
        raise RepositoryUnavailableError(f"A data file cannot be read: {error}") from error


class DataFiles:
    """The files of one version of a table, with the span of ``time`` each may hold."""

    def __init__(self, table: DeltaTable) -> None:
        root = table.table_uri.removeprefix("file://").rstrip("/")
        actions = pl.DataFrame(table.get_add_actions(flatten=True))
        if actions.is_empty():
            self.paths: list[str] = []
            self.by_day: dict[date, list[str]] = {}
            return
        files = actions.select(
            pl.format(f"{root}/{{}}", "path").alias("path"),
            pl.col("min.time").cast(frame.INSTANT).alias("first"),
            (pl.col("max.time").cast(frame.INSTANT) + _STATISTICS_GRAIN).alias("last"),
            pl.col(f"partition.{PARTITION}").alias("day"),
        ).sort("first", "path")
        self.paths = files["path"].to_list()
        self.by_day = dict(files.group_by("day").agg("path").iter_rows())
        self._first, self._last = integers(files["first"]), integers(files["last"])

    def spanning(self, start: datetime, end: datetime) -> tuple[str, ...]:
        """The files that may hold readings with ``start <= time <= end``."""
        if not self.paths:
            return ()
        near = (self._last >= micros_of(start)) & (self._first <= micros_of(end))
        return tuple(self.paths[file] for file in np.flatnonzero(near))


@dataclass(frozen=True)
class Run:
    """Rows that lie together in a data file."""

    file: str
    row: int
    length: int


@dataclass(frozen=True)
class Rows:
    """Where the readings with ``first <= time <= last`` lie.

    In ``runs`` and nothing else in them, where these are few; otherwise somewhere in ``files``.
    """

    files: tuple[str, ...]
    first: datetime
    last: datetime
    runs: tuple[Run, ...] | None

    def scan(self) -> pl.LazyFrame:
        """The readings, in no order. A run is read several times as fast as it is searched for."""
        if self.runs is not None:
            found = [pl.scan_parquet(r.file).slice(r.row, r.length) for r in self.runs]
        else:
            inside = pl.col("time").is_between(self.first, self.last)
            found = [pl.scan_parquet(list(self.files)).filter(inside)] if self.files else []
        if not found:
            return frame.empty().lazy()
        return pl.concat([rows.select(frame.COLUMNS) for rows in found])


def runs_of(places: Iterable[tuple[str, int, int, int]]) -> tuple[Run, ...] | None:
    """Places of readings (file, first row, readings, rows they lie among) as few runs.

    None if the runs are many, or other readings lie in between.
    """
    runs: list[Run] = []
    for file, row, readings, span in sorted(places):
        if span != readings:
            return None
        last = runs[-1] if runs else None
        if last is not None and (last.file, last.row + last.length) == (file, row):
            runs[-1] = Run(file, last.row, last.length + readings)
        elif len(runs) < MOST_RUNS:
            runs.append(Run(file, row, readings))
        else:
            return None
    return tuple(runs)
