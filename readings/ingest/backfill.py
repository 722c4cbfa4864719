"""Write the readings of a simulated fleet for a window of the past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Self

import polars as pl

from readings import frame
from readings.cancellation import raise_if_cancelled
from readings.computed_ahead import computed_ahead
from readings.ingest import READINGS_PER_WRITE
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import (
    arrivals_between,
    can_still_arrive,
    readings_for,
    readings_in_arrival,
)
from readings.simulation.fleet import Fleet

VALUES_PER_WRITE = READINGS_PER_WRITE * len(frame.COLUMNS)
"""A write has about this many values, so that readings with more columns need no more memory."""


@dataclass(frozen=True)
class BackfillWrite:
    """The result of one write: how many intervals and readings it contained, and how many were new.

    ``awaited`` are the intervals of which no reading has arrived yet, as during an outage. The caller records them,
    because the live fleet writes late readings only of intervals that are stored or recorded.
    """

    intervals: int
    readings: int
    new: int
    awaited: list[datetime]


def backfill(
    fleet: Fleet, repository: ReadingsRepository, start: datetime, end: datetime, now: datetime
) -> Iterator[BackfillWrite]:
    """Write the fleet's readings with ``start <= time <= end`` that have arrived at ``now``.

    Yields after each write of about :data:`VALUES_PER_WRITE` values, while the next ones are computed. Stored
    readings do not change, so an interrupted backfill can simply be started again.

    Raises :class:`RepositoryUnavailableError` and :class:`ReadingsRefusedError`. Earlier writes stay stored.
    """
    for batch in computed_ahead(_frames(fleet, start, end, now)):
        raise_if_cancelled()
        new = repository.write_in_order(batch.readings)
        yield BackfillWrite(batch.intervals, len(batch.readings), new, batch.awaited)


def write_late_arrivals(
    fleet: Fleet,
    repository: ReadingsRepository,
    window: tuple[datetime, datetime],
    after: datetime,
    until: datetime,
) -> int:
    """Write the readings of a window that arrived after ``after`` and until ``until``. Return how many were new.

    They arrived while a backfill ran. The live fleet does not write those whose interval was not stored yet.
    Raises the same errors as :func:`backfill`.
    """
    start, end = window
    new = 0
    late = [each for each in arrivals_between(fleet, after, until) if start <= each.time <= end]
    for _, arrivals in groupby(late, key=lambda arrival: arrival.at):
        raise_if_cancelled()
        new += repository.write(pl.concat([readings_in_arrival(fleet, each) for each in arrivals]))
    return new


@dataclass
class _Intervals:
    """Readings of consecutive intervals, in order and without duplicates.

    The fields are as in :class:`BackfillWrite`.
    """

    intervals: int
    readings: pl.DataFrame
    awaited: list[datetime]

    @classmethod
    def from_frames(cls, frames: list[pl.DataFrame], awaited: list[datetime]) -> Self:
        """Return the readings of some intervals. ``frames`` has a frame for each."""
        # `computed_ahead` runs this in another thread, while the previous readings are written. In `write`, the check
        # of the order would delay the write.
        readings = frame.in_order_without_duplicates(pl.concat(frames))
        return cls(len(frames), readings, awaited)


def _frames(fleet: Fleet, start: datetime, end: datetime, now: datetime) -> Iterator[_Intervals]:
    """Yield frames of about :data:`VALUES_PER_WRITE` values."""
    frames: list[pl.DataFrame] = []
    awaited: list[datetime] = []
    readings = 0
    for time in fleet.intervals(start, end):
        raise_if_cancelled()
        frames.append(readings_for(fleet, time, arrived_by=now))
        readings += len(frames[-1])
        if frames[-1].is_empty() and can_still_arrive(fleet, time, now):
            awaited.append(time)
        if readings * frames[-1].width >= VALUES_PER_WRITE:
            yield _Intervals.from_frames(frames, awaited)
            frames, awaited, readings = [], [], 0
    if frames:
        yield _Intervals.from_frames(frames, awaited)
