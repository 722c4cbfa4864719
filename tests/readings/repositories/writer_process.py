"""Writes intervals in another process. Each such process imports this module, so it imports only what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from multiprocessing.connection import Connection

from readings.repositories import open_repository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet


def write_intervals(
    url: str, fleet: Fleet, intervals: Sequence[datetime], written: Connection | None = None
) -> None:
    """Write the readings of a fleet by interval. Send each interval, and how many of its readings were new."""
    for at in intervals:
        new = open_repository(url).write(readings_for(fleet, at))
        if written is not None:
            written.send((at, new))
