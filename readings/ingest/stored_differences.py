"""Compare the rows of a file with the stored readings of the same meter and time."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from readings import frame
from readings.ingest.row_report import RowReport
from readings.ingest.row_validation import ROW
from readings.repositories import Snapshot
from readings.window import Window

MEASURES = [name for name, kind in frame.SCHEMA.items() if kind.is_numeric()]
_MAX_METERS = 200
"""Up to this number of meters, only their readings are read."""
_STORED = "_stored"


def compare_with_stored(readings: pl.DataFrame, snapshot: Snapshot, differing: RowReport) -> int:
    """Return how many of the readings are stored, and add those whose measured values differ to the report.

    ``readings`` (sorted, each once, not empty) has the column :data:`ROW`. Memory is bounded by one frame of the
    snapshot. Raises :class:`RepositoryUnavailableError`.
    """
    meters = readings["device_id"].unique().sort().to_list()
    window = Window(
        readings["time"][0],
        readings["time"][-1],
        tuple(meters) if len(meters) <= _MAX_METERS else (),
    )
    differs = pl.any_horizontal(pl.col(name) != pl.col(name + _STORED) for name in MEASURES)
    count = 0
    for part in snapshot.frames(window):
        stored = part.select(*frame.ORDER, pl.col(MEASURES).name.suffix(_STORED))
        found = readings.join(stored, on=frame.ORDER)
        count += len(found)
        different = found.filter(differs).sort(ROW)
        differing.add(len(different), _describe(different))
    return count


def _describe(different: pl.DataFrame) -> Iterator[tuple[int, str]]:
    for row in different.iter_rows(named=True):
        values = [
            f"{name} is {row[name]}, but {row[name + _STORED]} is stored"
            for name in MEASURES
            if row[name] != row[name + _STORED]
        ]
        yield row[ROW], "; ".join(values)
