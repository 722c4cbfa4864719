"""How many readings there are by whole minute, and what a window takes of each.

Readings are counted by whole minute: a meter that sends at intervals sends on whole
minutes, and one that does not still makes no more than 1,440 counts a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from readings import frame
from readings.window import Window

Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]

MINUTE = timedelta(minutes=1)
LAST_MICROSECOND = MINUTE - timedelta(microseconds=1)
"""From a minute's beginning to the last instant it holds."""
COUNTS_SCHEMA = {"minute": frame.INSTANT, "readings": pl.Int64()}
TOTALS_SCHEMA = COUNTS_SCHEMA | dict.fromkeys(
    ("first", "last", "first_arrival", "last_arrival"), frame.INSTANT
)
"""A minute's readings: how many, between which instants of ``time`` and of ``arrival_time``."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros_of(instant: datetime) -> int:
    """Microseconds since 1970: how instants are kept in arrays."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(micros: int) -> datetime:
    """The instant so many microseconds after 1970 began."""
    return _EPOCH + int(micros) * _MICROSECOND


def integers(values: pl.Series) -> Integers:
    """A column without nulls as an array, its instants as microseconds since 1970."""
    return values.to_physical().to_numpy()


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


class MinuteTotals:
    """The minutes of a store, in arrays: a data frame's query costs more than a page has time for."""

    def __init__(self, totals: pl.DataFrame) -> None:
        """``totals`` has the columns of :data:`TOTALS_SCHEMA`, a row a minute, ascending."""
        self._columns = {name: integers(totals[name]) for name in TOTALS_SCHEMA}

    def __len__(self) -> int:
        return len(self._columns["minute"])

    def overlapping(self, window: Window) -> Counts:
        """The minutes that may hold readings of the window."""
        start, end = micros_of(window.start), None
        if window.end is not None:
            end = self._columns["first"].searchsorted(micros_of(window.end), side="right")
        totals = _only(self._columns, slice(self._columns["last"].searchsorted(start), end))
        if window.as_of is not None:
            totals = _only(totals, totals["first_arrival"] <= micros_of(window.as_of))
        if window.arrived_after is not None:
            totals = _only(totals, totals["last_arrival"] > micros_of(window.arrived_after))
        return Counts(totals["minute"], totals["readings"], _lie_whole_in(window, totals))


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
