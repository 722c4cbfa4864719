"""Read back what a test has stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from readings import frame
from readings.repositories import ReadingsRepository
from readings.window import Window


def all_readings(store: ReadingsRepository, columns: Sequence[str] = frame.COLUMNS) -> pl.DataFrame:
    """Return every reading of a repository as one sorted frame, also if there are none."""
    everything = Window(datetime(1, 1, 1, tzinfo=UTC))
    found = store.snapshot().frames(everything, columns=columns)
    return pl.concat([frame.empty(columns), *found])
