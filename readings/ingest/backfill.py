"""Write the readings of a simulated fleet for a window of the past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from readings.cancellation import raise_if_cancelled
from readings.ingest import READINGS_PER_WRITE
from readings.ingest.one_ahead import one_ahead
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet


@dataclass(frozen=True)
class BackfillWrite:
    """The result of one write: how many intervals and readings it contained, and how many were new."""

    intervals: int
    readings: int
    new: int


def backfill(
    fleet: Fleet, repository: ReadingsRepository, start: datetime, end: datetime, now: datetime
) -> Iterator[BackfillWrite]:
    """Write the fleet's readings with ``start <= time <= end`` that have arrived at ``now``.

    Yields after each write of about :data:`READINGS_PER_WRITE` readings, while the next ones are computed. Stored
    readings do not change, so an interrupted backfill can simply be started again.

    Raises :class:`RepositoryUnavailableError` and :class:`ReadingsRefusedError`. Earlier writes stay stored.
    """
    for intervals, readings in one_ahead(_frames(fleet, start, end, now)):
        raise_if_cancelled()
        yield BackfillWrite(intervals, len(readings), repository.write(readings))


def _frames(
    fleet: Fleet, start: datetime, end: datetime, now: datetime
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield frames of about :data:`READINGS_PER_WRITE` readings, each with the number of its intervals."""
    frames: list[pl.DataFrame] = []
    readings = 0
    for time in fleet.intervals(start, end):
        raise_if_cancelled()
        frames.append(readings_for(fleet, time, arrived_by=now))
        readings += len(frames[-1])
        if readings >= READINGS_PER_WRITE:
            yield len(frames), pl.concat(frames)
            frames, readings = [], 0
    if frames:
        yield len(frames), pl.concat(frames)
