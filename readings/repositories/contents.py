"""What a repository contains, found by counting its minutes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from readings.instants import FIRST_INSTANT
from readings.repositories.base import Snapshot
from readings.window import Window

EVERYTHING = Window(FIRST_INSTANT)


@dataclass(frozen=True)
class Contents:
    """The number of readings and of the UTC days that have some, and the times of the first and the last reading."""

    readings: int = 0
    days: int = 0
    first: datetime | None = None
    last: datetime | None = None


def contents_of(snapshot: Snapshot, window: Window = EVERYTHING) -> Contents:
    """Return what the window contains. Reads only its first and its last reading, and counts the others."""
    counts = snapshot.minute_counts(window)
    if counts.is_empty():
        return Contents()
    first = snapshot.page(window, offset=0, size=1).readings
    newest = replace(window, start=max(window.start, counts["minute"][-1]))
    last = snapshot.page(newest, offset=counts["readings"][-1] - 1, size=1).readings
    return Contents(
        readings=int(counts["readings"].sum()),
        days=counts["minute"].dt.date().n_unique(),
        first=min(first["time"], default=None),
        last=max(last["time"], default=None),
    )
