"""Minute counts: how many readings each minute holds, and how many of them are in a window.

A meter that sends at intervals sends on whole minutes. A meter that sends at odd seconds still makes at most
1,440 counts a day. So the counts stay few, and they are enough to find a page without numbering any row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from readings import frame
from readings.instants import from_micros, to_micros
from readings.window import Window

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

MINUTE = timedelta(minutes=1)
LAST_MICROSECOND = MINUTE - timedelta(microseconds=1)
"""The time from the beginning of a minute to its last instant."""
MINUTE_COUNTS_SCHEMA = {"minute": frame.INSTANT, "readings": pl.Int64()}
MINUTE_INDEX_SCHEMA = MINUTE_COUNTS_SCHEMA | dict.fromkeys(
    ("first", "last", "first_arrival", "last_arrival"), frame.INSTANT
)
"""One row per minute: its readings, and the earliest and latest ``time`` and ``arrival_time`` among them."""


def minute_of_time() -> pl.Expr:
    """Return an expression of a readings frame, named ``minute``: the beginning of the minute of ``time``."""
    return pl.col("time").dt.truncate("1m").alias("minute")


def count_by_minute(readings: pl.LazyFrame) -> pl.LazyFrame:
    """Return how many of the readings each minute holds: :data:`MINUTE_COUNTS_SCHEMA`, ascending."""
    counts = readings.group_by(minute_of_time()).agg(pl.len().cast(pl.Int64).alias("readings"))
    return counts.sort("minute")


def clip(window: Window, first_minute: datetime, last_minute: datetime) -> Window:
    """Return the part of the window from the first to the last minute."""
    end = last_minute + LAST_MICROSECOND
    return replace(
        window,
        start=max(window.start, first_minute),
        end=end if window.end is None else min(window.end, end),
    )


def as_int_array(column: pl.Series) -> IntArray:
    """Return a column without nulls as an array. Instants become microseconds since 1970."""
    values = column.to_numpy()
    # Polars would run a query to convert instants.
    return values.view(np.int64) if column.dtype == frame.INSTANT else values


@dataclass(frozen=True)
class MinuteCounts:
    """Minutes, ascending, and how many readings of a window each of them holds.

    All arrays have the same length. ``minute`` is in microseconds since 1970. ``complete`` says whether all readings
    of the minute are in the window. If they are not, ``readings`` is an upper bound until the minute is counted.
    """

    minute: IntArray
    readings: IntArray
    complete: BoolArray

    def __len__(self) -> int:
        return len(self.minute)

    def __getitem__(self, selection: slice | BoolArray) -> MinuteCounts:
        return MinuteCounts(
            self.minute[selection], self.readings[selection], self.complete[selection]
        )

    @property
    def first_minute(self) -> datetime:
        """The beginning of the first minute."""
        return from_micros(self.minute[0])

    @property
    def last_minute(self) -> datetime:
        """The beginning of the last minute."""
        return from_micros(self.minute[-1])

    def with_counted(self, first: int, end: int, counted: pl.DataFrame) -> MinuteCounts:
        """Return a copy in which ``counted`` replaces the rows ``first`` (inclusive) to ``end`` (exclusive).

        ``counted`` has the columns of :data:`MINUTE_COUNTS_SCHEMA`.
        """
        minute, readings = as_int_array(counted["minute"]), as_int_array(counted["readings"])
        complete = np.zeros(len(counted), np.bool_)
        return MinuteCounts(
            np.concatenate([self.minute[:first], minute, self.minute[end:]]),
            np.concatenate([self.readings[:first], readings, self.readings[end:]]),
            np.concatenate([self.complete[:first], complete, self.complete[end:]]),
        )

    def as_frame(self) -> pl.DataFrame:
        """Return the columns of :data:`MINUTE_COUNTS_SCHEMA`."""
        return pl.DataFrame(
            [
                pl.Series("minute", self.minute).cast(frame.INSTANT),
                pl.Series("readings", self.readings),
            ]
        )


class MinuteIndex:
    """The minutes of a repository, or of a part of it, with their counts and bounds.

    The columns are arrays, because a query on a data frame takes too long for a page.
    """

    def __init__(self, minutes: pl.DataFrame) -> None:
        """``minutes`` has the columns of :data:`MINUTE_INDEX_SCHEMA`, one row per minute, ascending."""
        self._columns = {name: as_int_array(minutes[name]) for name in MINUTE_INDEX_SCHEMA}

    def __len__(self) -> int:
        return len(self._columns["minute"])

    def overlapping(self, window: Window) -> MinuteCounts:
        """Return the minutes that may hold readings of the window.

        A minute that may be only partly in the window is not ``complete`` and not counted yet.
        """
        start, end = to_micros(window.start), None
        if window.end is not None:
            end = self._columns["first"].searchsorted(to_micros(window.end), side="right")
        rows = _select(self._columns, slice(self._columns["last"].searchsorted(start), end))
        if window.as_of is not None:
            rows = _select(rows, rows["first_arrival"] <= to_micros(window.as_of))
        if window.arrived_after is not None:
            rows = _select(rows, rows["last_arrival"] > to_micros(window.arrived_after))
        return MinuteCounts(rows["minute"], rows["readings"], _are_complete(window, rows))

    def arrives_after(self, instant: datetime, first: datetime, last: datetime) -> bool:
        """Return whether a reading of the minutes from ``first`` to ``last`` arrived after this instant."""
        start, end = self._columns["minute"].searchsorted([to_micros(first), to_micros(last) + 1])
        return bool((self._columns["last_arrival"][start:end] > to_micros(instant)).any())


def _select(rows: dict[str, IntArray], selection: slice | BoolArray) -> dict[str, IntArray]:
    return {name: values[selection] for name, values in rows.items()}


def _are_complete(window: Window, rows: dict[str, IntArray]) -> BoolArray:
    inside: BoolArray = (rows["first"] >= to_micros(window.start)) & (not window.device_ids)
    if window.end is not None:
        inside &= rows["last"] <= to_micros(window.end)
    if window.as_of is not None:
        inside &= rows["last_arrival"] <= to_micros(window.as_of)
    if window.arrived_after is not None:
        inside &= rows["first_arrival"] > to_micros(window.arrived_after)
    return inside
