"""A CSV file of 2,920,000 readings (the reference guide's example), compared with programs that read our Parquet files.

headend's time is from the request to the published file with its checksum. The peers make no checksum, and do not wait
until the file is on the disk.
"""

from __future__ import annotations

import gzip
import io
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

import duckdb
import polars as pl
from django.conf import settings
from django.core.files.storage import storages

from benchmarks.export_run import run_steps_with_workers
from benchmarks.ratio import Ratio, compare
from exports.file_requests import FileSpec, accept
from exports.formats.gzip_member import HEADER, Checksum, PartDeflater, trailer
from exports.models import FileRequest, Supplier
from headend.config.folders import create_folders
from readings import frame
from readings.repositories import repository
from readings.repositories.delta.data_files import DataFiles
from readings.repositories.delta.folder import DiskFolder
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

FLEET = Fleet(devices=40_000)
START = datetime(2024, 5, 1, tzinfo=UTC)
INTERVALS = 73
READINGS = 2_920_000
END = START + (INTERVALS - 1) * FLEET.interval
WORKERS = 2
TARGET, TWO_THREADS_TARGET = 1.5, 0.85
ROUNDS = 5
_SLICE = 250_000
_INSTANT_FORMAT = "%Y-%m-%d %H:%M:%S%.6f"

WriteFile = Callable[[list[str], Path], None]
"""Writes the readings of Parquet files to a file."""


def measure(folder: Path) -> Iterator[Ratio]:
    """Fill the repository, and yield a ratio per peer.

    Fails if a peer's file is smaller than ours or has other lines.
    """
    create_folders(settings.FOLDERS)
    for time in FLEET.intervals(START, END):
        repository().write(readings_for(FLEET, time))
    # As every hour in a deployment.
    repository().maintain()
    table = DiskFolder(folder / "readings")
    files = DataFiles.of(table, table.table()).paths
    supplier = Supplier.objects.create(name="bench")
    target = folder / "peer.csv.gz"
    ours = _export(supplier)
    for peer, write, required in PEERS:
        _write(write, files, target)
        _check(ours, target, two_threads=write is two_threads)
        yield compare(
            f"file of {READINGS:,} readings", peer, required,
            partial(_export, supplier), partial(_write, write, files, target), rounds=ROUNDS,
        )  # fmt: skip


def polars_sink(files: list[str], target: Path) -> None:
    """Use Polars' own compression."""
    _scan(files).sink_csv(
        target, compression="gzip", compression_level=1, datetime_format=_INSTANT_FORMAT
    )


def polars_pigz(files: list[str], target: Path) -> None:
    """Pipe Polars' text to pigz."""
    with _pigz(target) as text:
        _scan(files).collect().write_csv(text, datetime_format=_INSTANT_FORMAT)


def duckdb_pigz(files: list[str], target: Path) -> None:
    """Pipe DuckDB's text to pigz."""
    columns = ", ".join(
        f"strftime({name}, '%Y-%m-%d %H:%M:%S.%f') AS {name}" if kind == frame.INSTANT else name
        for name, kind in frame.SCHEMA.items()
    )
    with _pigz(target) as text, duckdb.connect() as database:
        database.execute(
            f"COPY (SELECT {columns} FROM read_parquet({files!r}))"
            f" TO '/dev/fd/{text.fileno()}' (FORMAT csv, HEADER)"
        )


def two_threads(files: list[str], target: Path) -> None:
    """Write slices of the readings with Polars and ISA-L, and join them in order."""

    def part(start: int) -> tuple[bytes, Checksum]:
        readings = _scan(files).slice(start, _SLICE).collect(engine="streaming")
        text = io.BytesIO()
        readings.write_csv(text, include_header=start == 0, datetime_format=_INSTANT_FORMAT)
        deflater = PartDeflater()
        return deflater.deflate(text.getbuffer()) + deflater.flush(), deflater.checksum

    checksum = Checksum()
    with target.open("wb") as file, ThreadPoolExecutor(2) as threads:
        file.write(HEADER)
        for deflated, part_checksum in threads.map(part, range(0, READINGS, _SLICE)):
            file.write(deflated)
            checksum = checksum.followed_by(part_checksum)
        file.write(trailer(checksum))


PEERS: list[tuple[str, WriteFile, float]] = [
    ("Polars sink_csv, gzip level 1", polars_sink, TARGET),
    ("Polars write_csv and pigz -1", polars_pigz, TARGET),
    ("DuckDB COPY and pigz -1", duckdb_pigz, TARGET),
    ("two threads of Polars write_csv and ISA-L", two_threads, TWO_THREADS_TARGET),
]


def _write(write: WriteFile, files: list[str], target: Path) -> None:
    # A new file, as ours is.
    target.unlink(missing_ok=True)
    write(files, target)


def _scan(files: list[str]) -> pl.LazyFrame:
    return pl.scan_parquet(files, glob=False).select(frame.COLUMNS)


@contextmanager
def _pigz(target: Path) -> Iterator[IO[bytes]]:
    """Yield a file whose content pigz compresses into ``target``."""
    with (
        target.open("wb") as compressed,
        subprocess.Popen(["pigz", "-1"], stdin=subprocess.PIPE, stdout=compressed) as pigz,
    ):
        assert pigz.stdin is not None
        yield pigz.stdin
        pigz.stdin.close()
        assert pigz.wait() == 0


def _check(ours: FileRequest, target: Path, *, two_threads: bool) -> None:
    # ISA-L at the same level: its size differs by the ends of the parts only.
    assert two_threads or (ours.size or 0) <= target.stat().st_size
    with (
        gzip.open(target) as theirs,
        storages["exports"].open(ours.location) as file,
        gzip.open(file) as plain,
    ):
        assert sum(1 for _ in theirs) == sum(1 for _ in plain) == READINGS + 1


def _export(supplier: Supplier) -> FileRequest:
    request = accept(supplier, FileSpec(START, END))
    run_steps_with_workers(WORKERS)
    request.refresh_from_db()
    assert request.record_count == READINGS, request.reason
    return request
