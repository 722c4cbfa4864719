"""Readings of a simulated fleet for a window of the past, written in stretches that can be cut off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

READINGS_A_WRITE = 600_000
"""About how many readings go into one commit: a second's work, some 80 MB of memory."""


@dataclass(frozen=True)
class Stretch:
    """What one write came to: the intervals it covered, its readings, and how many of them were new."""

    intervals: int
    readings: int
    new: int


def backfill(
    fleet: Fleet, store: ReadingsRepository, start: datetime, end: datetime, now: datetime
) -> Iterator[Stretch]:
    """Write the fleet's readings with ``start <= time <= end`` that have arrived by ``now``.

    What is kept already stays as it is, so a run that was cut off is simply run again.
    """
    frames: list[pl.DataFrame] = []
    readings = 0
    for time in fleet.intervals(start, end):
        frames.append(readings_for(fleet, time, arrived_by=now))
        readings += len(frames[-1])
        if readings >= READINGS_A_WRITE:
            yield _written(store, frames)
            frames, readings = [], 0
    if frames:
        yield _written(store, frames)


def _written(store: ReadingsRepository, frames: list[pl.DataFrame]) -> Stretch:
    readings = pl.concat(frames)
    return Stretch(len(frames), len(readings), store.write(readings))
