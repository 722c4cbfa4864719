"""The data files of a Delta table's version, and how many readings each holds by minute.

A data file never changes once it is written, so what is counted in it is counted once.
Readings are counted by whole minute: a meter that sends at intervals sends on whole
minutes, and one that does not still makes no more than 1,440 counts a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

import polars as pl
from deltalake import DeltaTable

from readings import frame
from readings.repositories.base import RepositoryUnavailableError

# Delta keeps a file's least and greatest instants cut to milliseconds.
_STATISTICS_GRAIN = timedelta(milliseconds=1)

COUNTS_SCHEMA = {
    "file": pl.String(),
    "minute": frame.INSTANT,
    "readings": pl.Int64(),
    "first": frame.INSTANT,
    "last": frame.INSTANT,
    "first_arrival": frame.INSTANT,
    "last_arrival": frame.INSTANT,
    "row": pl.Int64(),
    "span": pl.Int64(),
}
"""``row`` is where a minute's readings begin in the file; they lie together when ``span`` == ``readings``."""

MOST_RUNS = 32
"""From how many stretches of rows on a scan that filters is quicker than reading each."""


def minute_of(column: str = "time") -> pl.Expr:
    """The whole minute an instant lies in."""
    return pl.col(column).dt.truncate("1m")


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
            self._files = pl.DataFrame(
                schema={"path": pl.String, "first": frame.INSTANT, "last": frame.INSTANT}
            )
            return
        self._files = actions.select(
            pl.format(f"{root}/{{}}", "path").alias("path"),
            pl.col("min.time").cast(frame.INSTANT).alias("first"),
            (pl.col("max.time").cast(frame.INSTANT) + _STATISTICS_GRAIN).alias("last"),
        ).sort("first", "path")

    @property
    def paths(self) -> list[str]:
        """Every file of the version."""
        return self._files["path"].to_list()

    def spanning(self, start: datetime, end: datetime | None) -> tuple[str, ...]:
        """The files that may hold readings with ``start <= time <= end``."""
        wanted = pl.col("last") >= start
        if end is not None:
            wanted &= pl.col("first") <= end
        return tuple(self._files.filter(wanted)["path"])


class MinuteCounts:
    """Counts of the files that were asked for so far, shared by every version of the table."""

    def __init__(self) -> None:
        self._by_file: dict[str, pl.DataFrame] = {}
        self._lock = Lock()

    def of(self, files: Sequence[str]) -> pl.DataFrame:
        """A row for each file and minute, columns of :data:`COUNTS_SCHEMA`."""
        with self._lock:
            for counted in _counted(name for name in files if name not in self._by_file):
                self._by_file[counted["file"][0]] = counted
            return pl.concat(
                [pl.DataFrame(schema=COUNTS_SCHEMA), *(self._by_file[name] for name in files)]
            )


def _counted(files: Iterable[str]) -> list[pl.DataFrame]:
    names = list(files)
    if not names:
        return []
    # Rows are numbered across all the files, and so from each file's first.
    counts = (
        pl.scan_parquet(names, include_file_paths="file", row_index_name="row")
        .select("file", "time", "arrival_time", pl.col("row").cast(pl.Int64))
        .group_by("file", minute_of().alias("minute"))
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
        .select(*COUNTS_SCHEMA)
    )
    return collected(counts).partition_by("file")


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


def runs_of(counts: pl.DataFrame) -> tuple[Run, ...] | None:
    """The rows that ``counts`` (columns of :data:`COUNTS_SCHEMA`) count, as few runs; None if they are many."""
    if not (counts["span"] == counts["readings"]).all():
        return None
    ordered = counts.sort("file", "row")
    follows = (pl.col("file") == pl.col("file").shift()) & (
        pl.col("row") == (pl.col("row") + pl.col("readings")).shift()
    )
    runs = (
        ordered.with_columns((~follows).fill_null(value=True).cum_sum().alias("run"))
        .group_by("run", maintain_order=True)
        .agg(pl.col("file", "row").first(), pl.col("readings").sum())
    )
    if len(runs) > MOST_RUNS:
        return None
    return tuple(Run(*run) for run in runs.select("file", "row", "readings").iter_rows())
