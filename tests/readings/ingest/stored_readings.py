"""Read back what a test has stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from readings import frame
from readings.repositories import ReadingsRepository
from readings.window import Window

EVERYTHING = Window(datetime(1, 1, 1, tzinfo=UTC))


def all_readings(store: ReadingsRepository, columns: Sequence[str] = frame.COLUMNS) -> pl.DataFrame:
    """Return every reading of a repository as one sorted frame, even if there are none."""
    found = store.snapshot().frames(EVERYTHING, columns=columns)
    return pl.concat([frame.empty(columns), *found])


def all_versions(store: ReadingsRepository) -> pl.DataFrame:
    """Return every version of every reading, with all columns, as one sorted frame."""
    versions = store.snapshot().versions(EVERYTHING)
    return pl.concat([frame.empty(frame.FULL_COLUMNS), *versions])
