"""A window of readings, and a position inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from readings.frame import literal

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
RESOLUTION = timedelta(microseconds=1)
"""The smallest difference between two instants."""
_MAX_ALTERNATIVES = 32
"""Polars compares a column with each value of a short list. For 100 values, this takes 40 ms for each file."""


@dataclass(frozen=True)
class Window:
    """The readings that a caller requests: those with ``start <= time <= end`` that meet all other bounds.

    - ``end``: None means no upper bound.
    - ``device_ids``: empty means all meters.
    - ``arrived_after``: only readings with a later ``arrival_time`` (exclusive).
    - ``as_of``: only readings with an ``arrival_time`` up to this instant (inclusive).

    All instants are in UTC.
    """

    start: datetime
    end: datetime | None = None
    device_ids: tuple[str, ...] = ()
    arrived_after: datetime | None = None
    as_of: datetime | None = None

    @property
    def bounds_time_only(self) -> bool:
        """Whether every reading between start and end belongs to the window."""
        return not self.device_ids and not self.bounds_arrival_time

    @property
    def bounds_arrival_time(self) -> bool:
        """Whether the arrival time of a reading decides whether it belongs to the window."""
        return self.arrived_after is not None or self.as_of is not None

    def without_arrival_bounds(self) -> Window:
        """Return the window of the same times and meters, with readings that arrived at any time."""
        return replace(self, arrived_after=None, as_of=None) if self.bounds_arrival_time else self

    def predicate(self) -> pl.Expr:
        """Return the window as a Polars filter for a readings frame."""
        time, arrival_time = pl.col("time"), pl.col("arrival_time")
        condition = time >= literal(self.start)
        if self.end is not None:
            condition &= time <= literal(self.end)
        if self.device_ids:
            condition &= is_one_of(self.device_ids)
        if self.arrived_after is not None:
            condition &= arrival_time > literal(self.arrived_after)
        if self.as_of is not None:
            condition &= arrival_time <= literal(self.as_of)
        return condition


def is_one_of(device_ids: Sequence[str]) -> pl.Expr:
    """Return a filter for some meters. If they are few or have adjacent ids, Polars skips the other row groups."""
    device_id = pl.col("device_id")
    if len(device_ids) <= _MAX_ALTERNATIVES:
        return device_id.is_in(list(device_ids))
    near = device_id.is_between(pl.lit(min(device_ids)), pl.lit(max(device_ids)))
    return near & device_id.is_in(pl.Series(device_ids).implode())


def window_of_day(day: date) -> Window:
    """Return the window of all readings of one UTC day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Window(midnight, midnight + (DAY - RESOLUTION))


@dataclass(frozen=True)
class Position:
    """A place in the order of readings: directly after the reading of this time and meter."""

    time: datetime
    device_id: str
