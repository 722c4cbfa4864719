"""A file of 2,920,000 readings (the reference guide's example), compared with pandas and DuckDB."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
from django.core.files.storage import storages
from django.db import connection

from benchmarks.ratio import Ratio, compare
from exports.file_requests import FileSpec, accept
from exports.models import FileRequest, Supplier
from exports.pipeline import worker
from readings.repositories import ReadingsRepository
from readings.repositories import repository as deployment_repository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window

FLEET = Fleet(devices=40_000)
START = datetime(2024, 5, 1, tzinfo=UTC)
INTERVALS = 73
READINGS = 2_920_000
END = START + (INTERVALS - 1) * FLEET.interval
WORKERS = 2
TARGET = 8


def measure(folder: Path) -> Iterator[Ratio]:
    """Write the readings of the file, and yield a ratio per peer."""
    repository = deployment_repository()
    for time in FLEET.intervals(START, END):
        repository.write(readings_for(FLEET, time))
    yield from _ratios(repository, folder)


def _ratios(repository: ReadingsRepository, folder: Path) -> Iterator[Ratio]:
    """Yield a ratio per peer.

    For headend, the time from the request to the published file counts, including reading from the repository. The peers
    have the readings in memory.
    """
    readings = pl.concat(repository.snapshot().frames(Window(START, END)))
    assert len(readings) == READINGS
    texts = readings.with_columns(
        pl.col("time", "arrival_time").dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
    )
    supplier = Supplier.objects.create(name="bench")
    pandas_frame, arrow_table = texts.to_pandas(), texts.to_arrow()
    ours = _export(supplier)
    target = str(folder / "peer.csv.gz")

    def with_pandas() -> None:
        pandas_frame.to_csv(target, index=False, compression="gzip")

    peer = duckdb.connect()
    peer.register("readings", arrow_table)

    def with_duckdb() -> None:
        peer.execute(f"COPY readings TO '{target}' (FORMAT csv, HEADER, COMPRESSION gzip)")

    for name, work, rounds in (("pandas to_csv", with_pandas, 1), ("DuckDB COPY", with_duckdb, 3)):
        yield compare(
            f"file of {READINGS:,} readings", name, TARGET, lambda: _export(supplier), work,
            rounds=rounds, ours_per_round=3,
        )  # fmt: skip
        with (
            gzip.open(target) as theirs,
            storages["exports"].open(ours.location) as file,
            gzip.open(file) as plain,
        ):
            assert sum(1 for _ in theirs) == sum(1 for _ in plain) == READINGS + 1


def _export(supplier: Supplier) -> FileRequest:
    request = accept(supplier, FileSpec(START, END))
    # The first step plans the parts, so that all workers find work.
    worker.run_next_step()
    with ThreadPoolExecutor(WORKERS) as workers:
        list(workers.map(lambda _: _work_until_done(), range(WORKERS)))
    request.refresh_from_db()
    assert request.record_count == READINGS, request.reason
    return request


def _work_until_done() -> None:
    try:
        while worker.run_next_step() is not None or worker.has_claimable_step():
            pass
    finally:
        connection.close()
