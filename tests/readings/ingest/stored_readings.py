"""Read back what a test has stored."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from readings import frame
from readings.repositories import ReadingsRepository
from readings.window import Window


def all_readings(store: ReadingsRepository) -> pl.DataFrame:
    """Return every reading of a repository as one sorted frame, also if there are none."""
    everything = Window(datetime(1, 1, 1, tzinfo=UTC))
    return pl.concat([frame.empty(), *store.snapshot().frames(everything)])
