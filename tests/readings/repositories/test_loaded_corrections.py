"""Rows of a file that correct stored readings, tested against every engine."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from readings import frame
from readings.ingest.chunk_writer import ChunkWriter
from readings.ingest.corrections import FileColumns
from readings.ingest.row_validation import ROW
from readings.repositories import ReadingsRepository
from readings.window import Window
from tests.readings.repositories.engines import A_MIDNIGHT
from tests.readings.repositories.version_model import make_versions

TIMES = [A_MIDNIGHT + n * timedelta(minutes=20) for n in range(3)]
ROWS = make_versions(["6407000000", "6407000001"], TIMES, kw=1.0, kwh=0.25).with_row_index(ROW)
CHANGED = pl.col(ROW) % 2 == 0


def load(repository: ReadingsRepository, rows: pl.DataFrame, *, dry_run: bool = False) -> list[int]:
    """Write rows that arrive now. Return how many are new, corrected, and in conflict."""
    columns = FileColumns.of(["kw", "kwh"])
    writer = ChunkWriter(repository, columns, arrive_now=True, dry_run=dry_run)
    new = writer.write(rows.select(ROW, *frame.COLUMNS, "kwh"))
    return [new, writer.differences.corrections.count, writer.differences.conflicts.count]


def test_a_corrected_file_corrects_the_readings_that_changed_and_can_be_loaded_again(
    repository: ReadingsRepository,
) -> None:
    assert load(repository, ROWS) == [6, 0, 0]
    assert load(repository, ROWS) == [0, 0, 0]
    corrected = ROWS.with_columns(
        pl.when(CHANGED).then(pl.lit(None, pl.Float64)).otherwise("kw").alias("kw"),
        pl.when(CHANGED).then(0.5).otherwise("kwh").alias("kwh"),
    )
    assert load(repository, corrected, dry_run=True) == [0, 3, 0]
    assert load(repository, corrected) == [0, 3, 0]
    assert load(repository, corrected) == [0, 0, 0]
    columns = [*frame.ORDER, "kw", "kwh"]
    valid = pl.concat(repository.snapshot().frames(Window(TIMES[0]), columns=columns))
    assert valid.equals(corrected.select(columns))
