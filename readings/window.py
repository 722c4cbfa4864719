"""What a caller asks for: which readings, in terms of their own columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

DAY = timedelta(days=1)
GRAIN = timedelta(microseconds=1)
"""Between two instants that can be told apart."""


@dataclass(frozen=True)
class Window:
    """The readings with ``start <= time <= end`` that meet every further bound given.

    ``device_ids`` empty means every meter. ``arrived_after`` is exclusive, ``as_of`` inclusive;
    both are about ``arrival_time``. All instants carry UTC.
    """

    start: datetime
    end: datetime | None = None
    device_ids: tuple[str, ...] = ()
    arrived_after: datetime | None = None
    as_of: datetime | None = None

    @property
    def bounds_time_only(self) -> bool:
        """Whether the window takes every reading between its start and its end."""
        return not self.device_ids and self.arrived_after is None and self.as_of is None

    def predicate(self) -> pl.Expr:
        """The window as a filter on a readings frame."""
        time, arrival = pl.col("time"), pl.col("arrival_time")
        wanted = time >= self.start
        if self.end is not None:
            wanted &= time <= self.end
        if self.device_ids:
            wanted &= pl.col("device_id").is_in(list(self.device_ids))
        if self.arrived_after is not None:
            wanted &= arrival > self.arrived_after
        if self.as_of is not None:
            wanted &= arrival <= self.as_of
        return wanted


def window_of(day: date) -> Window:
    """All of a day, UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Window(midnight, midnight + DAY - GRAIN)


@dataclass(frozen=True)
class Position:
    """A place in the order of readings: just behind the reading of this time and meter."""

    time: datetime
    device_id: str
