"""How many readings a Delta table's version holds by minute, counted once a data file.

Readings are counted by whole minute: a meter that sends at intervals sends on whole
minutes, and one that does not still makes no more than 1,440 counts a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

import numpy as np
import polars as pl
from numpy.typing import NDArray

from readings import frame
from readings.repositories.delta_files import (
    Integers,
    Run,
    collected,
    integers,
    micros_of,
    runs_of,
)
from readings.window import Window

Flags = NDArray[np.bool_]

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


def minute_of_time() -> pl.Expr:
    """The whole minute that ``time`` lies in."""
    return pl.col("time").dt.truncate("1m")


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
        .select(*COUNTS_SCHEMA)
    )
    return collected(counts).partition_by("file")


@dataclass(frozen=True)
class Counts:
    """Minutes, ascending, and how many readings each holds of a window.

    Where a minute is not ``whole`` in the window, how many it holds of them at most.
    """

    minute: Integers
    readings: Integers
    whole: Flags

    def __len__(self) -> int:
        return len(self.minute)

    def __getitem__(self, which: slice | Flags) -> Counts:
        return Counts(self.minute[which], self.readings[which], self.whole[which])

    def with_counted(self, first: int, end: int, read: pl.DataFrame) -> Counts:
        """With what reading them found in place of the minutes ``first`` up to ``end``.

        ``read`` has the columns of :meth:`as_frame`.
        """
        return Counts(
            np.concatenate([self.minute[:first], integers(read["minute"]), self.minute[end:]]),
            np.concatenate(
                [self.readings[:first], integers(read["readings"]), self.readings[end:]]
            ),
            np.concatenate([self.whole[:first], np.zeros(len(read), np.bool_), self.whole[end:]]),
        )

    def as_frame(self) -> pl.DataFrame:
        """The columns ``minute`` (instant) and ``readings``."""
        return pl.DataFrame(
            [
                pl.Series("minute", self.minute).cast(frame.INSTANT),
                pl.Series("readings", self.readings),
            ]
        )


class Minutes:
    """The minutes of a version, in arrays: a data frame's query costs more than a page has time for."""

    def __init__(self, counts: pl.DataFrame) -> None:
        by_file = counts.sort("minute")
        self._minutes_by_file = integers(by_file["minute"])
        self._places = by_file.select("file", "row", "readings", "span")
        totals = by_file.group_by("minute", maintain_order=True).agg(
            pl.col("readings").sum(),
            pl.col("first", "first_arrival").min(),
            pl.col("last", "last_arrival").max(),
        )
        self._totals = {column.name: integers(column) for column in totals}

    def overlapping(self, window: Window) -> Counts:
        """The minutes that may hold readings of the window."""
        start, end = micros_of(window.start), None
        if window.end is not None:
            end = self._totals["first"].searchsorted(micros_of(window.end), side="right")
        totals = _only(self._totals, slice(self._totals["last"].searchsorted(start), end))
        if window.as_of is not None:
            totals = _only(totals, totals["first_arrival"] <= micros_of(window.as_of))
        if window.arrived_after is not None:
            totals = _only(totals, totals["last_arrival"] > micros_of(window.arrived_after))
        return Counts(totals["minute"], totals["readings"], _lie_whole_in(window, totals))

    def runs(self, first: datetime, last: datetime) -> tuple[Run, ...] | None:
        """Where the readings of the minutes from ``first`` to ``last`` lie; see :func:`runs_of`."""
        start = self._minutes_by_file.searchsorted(micros_of(first))
        end = self._minutes_by_file.searchsorted(micros_of(last), side="right")
        return runs_of(self._places[start:end].iter_rows())


def _only(totals: dict[str, Integers], which: slice | Flags) -> dict[str, Integers]:
    return {name: values[which] for name, values in totals.items()}


def _lie_whole_in(window: Window, totals: dict[str, Integers]) -> Flags:
    whole: Flags = (totals["first"] >= micros_of(window.start)) & (not window.device_ids)
    if window.end is not None:
        whole &= totals["last"] <= micros_of(window.end)
    if window.as_of is not None:
        whole &= totals["last_arrival"] <= micros_of(window.as_of)
    if window.arrived_after is not None:
        whole &= totals["first_arrival"] > micros_of(window.arrived_after)
    return whole
