"""Pages among 129.6 million readings, compared with keyset queries of DuckDB and PostgreSQL.

The peers get the time and the device id before the page, and read one interval. headend gets the number of readings
before the page, and answers a complete API call.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psycopg
from django.core.management import call_command

from benchmarks.api_page import PAGE, api_page
from benchmarks.meter_page import measure_meter_pages
from benchmarks.ratio import Figure, Ratio, compare, duration
from readings import frame
from readings.described_table import describe
from readings.instants import format_instant
from readings.repositories import repository
from readings.repositories.delta.data_files import DataFiles
from readings.repositories.delta.decoded_rows import decode
from readings.repositories.delta.folder import DiskFolder
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY, Window
from tests.services.servers import Postgres, postgres_folder

START = datetime(2023, 2, 20, tzinfo=UTC)
DAYS = 9
OLDER_DAYS = 21
"""Days before ``START`` with an interval an hour, for the page of a meter that shows 30 days."""
OFFSETS = (0, 1_012_345, 10_012_345, 100_012_345)
LARGE_FLEET = 500_000
ROUNDS, PROCESSES = 40, 5

Keys = tuple[datetime, str]
COLUMNS = ", ".join(
    f"{name}::TIMESTAMP" if kind == frame.INSTANT else name for name, kind in frame.SCHEMA.items()
)
# DuckDB is fastest with constants, with `=` for the time, and without the time in the order.
DUCKDB_QUERY = f"""
    SELECT {COLUMNS} FROM read_parquet('{{file}}')
    WHERE time = '{{time}}'::TIMESTAMPTZ AND device_id > '{{device_id}}' ORDER BY device_id LIMIT {PAGE}
"""
POSTGRES_QUERY = f"""
    SELECT * FROM readings WHERE (time, device_id) > (%s, %s) ORDER BY time, device_id LIMIT {PAGE}
"""


def measure(folder: Path) -> Iterator[Ratio | Figure]:
    """Write nine days of 50,000 meters, and yield a row per comparison."""
    describe(repository())
    end = START + DAYS * DAY - timedelta(minutes=1)
    _backfill(START, end, interval=5)
    yield _figure(
        "the first page of a new process, after a backfill of 129.6 M readings", _first_page, 0.1
    )
    yield _figure("`manage.py readings`, 129.6 M readings", _readings_command, 1.0)
    keys = {offset: _key_before(offset) for offset in OFFSETS}
    yield from _compare_with_duckdb(folder, keys)
    yield from _compare_with_postgres(keys)
    api_page(START, 0)
    yield Figure(
        "a cached page of 100",
        1000 * statistics.median(duration(lambda: api_page(START, 0)) for _ in range(ROUNDS)),
        "ms",
        1,
    )
    yield _large_fleet(folder)
    _backfill(START - OLDER_DAYS * DAY, START - timedelta(minutes=1), interval=60)
    yield from measure_meter_pages(folder / "readings", end)


def _backfill(start: datetime, end: datetime, interval: int) -> None:
    options = {"start": format_instant(start), "end": format_instant(end), "interval": interval}
    call_command("backfill", **options, stdout=io.StringIO())


def _figure(what: str, seconds: Callable[[], float], limit: float) -> Figure:
    return Figure(what, statistics.median(seconds() for _ in range(PROCESSES)), "s", limit)


def _first_page() -> float:
    """Return how long a new process takes to open the table and to read a page; without its imports."""
    code = "from benchmarks.pages import print_first_page; print_first_page()"
    run = [sys.executable, "-c", f"import django; django.setup(); {code}"]
    return float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)


def print_first_page() -> None:
    """Print how long the first page of this process takes."""
    repository()
    print(duration(lambda: _read_page(OFFSETS[-1])))


def _readings_command() -> float:
    run = [sys.executable, "manage.py", "readings"]
    return duration(lambda: subprocess.run(run, check=True, capture_output=True, env=os.environ))


def _read_page(offset: int) -> pl.DataFrame:
    return repository().snapshot().page(Window(START), offset=offset, size=PAGE).readings


def _key_before(offset: int) -> Keys:
    if offset == 0:
        return START, ""
    before = _read_page(offset - 1).row(0, named=True)
    return before["time"], before["device_id"]


def _our_uncached_page(offset: int) -> bytes:
    decode.cache_clear()
    return api_page(START, offset)


def _compare(offset: int, peer: str, target: float, theirs: Callable[[], list[Any]]) -> Ratio:
    device_id = list(frame.SCHEMA).index("device_id")
    expected = [row[device_id] for row in theirs()]
    records = json.loads(api_page(START, offset))["records"]
    assert [record["device_id"] for record in records] == expected
    return compare(
        f"a page of 100 at offset {offset:,}, nothing decoded",
        peer,
        target,
        lambda: _our_uncached_page(offset),
        theirs,
        rounds=ROUNDS,
    )


def _compare_with_duckdb(folder: Path, keys: dict[int, Keys]) -> Iterator[Ratio]:
    table = DiskFolder(folder / "readings")
    files = DataFiles.of(table, table.table())
    with duckdb.connect() as peer:
        peer.execute("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true")
        for offset, (at, device_id) in keys.items():
            # DuckDB gets only the data file that has the interval.
            [file] = files.overlapping(at, at)
            query = DUCKDB_QUERY.format(file=file, time=at, device_id=device_id)
            yield _compare(
                offset,
                "DuckDB, keyset query of the interval",
                2,
                partial(_duckdb_rows, peer, query),
            )


def _duckdb_rows(peer: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    return peer.execute(query).fetchall()


def _postgres_rows(peer: psycopg.Connection[Any], key: Keys) -> list[Any]:
    return peer.execute(POSTGRES_QUERY, key, prepare=True).fetchall()


def _compare_with_postgres(keys: dict[int, Keys]) -> Iterator[Ratio]:
    with _postgres() as peer:
        peer.execute(
            "CREATE TABLE readings (time timestamptz, arrival_time timestamptz, device_id text, measure_name text, "
            "load bigint, crrnt float8, pf float8, kva float8, kw float8, vltg float8)"
        )
        for at, _ in keys.values():
            interval = Window(at, at + timedelta(minutes=5))
            for readings in repository().snapshot().frames(interval):
                with peer.cursor().copy("COPY readings FROM STDIN (FORMAT csv)") as copy:
                    copy.write(readings.write_csv(include_header=False).encode())
        peer.execute("ALTER TABLE readings ADD PRIMARY KEY (time, device_id)")
        peer.execute("VACUUM ANALYZE readings")
        for offset, key in keys.items():
            yield _compare(
                offset,
                "PostgreSQL, keyset query on its index",
                0,
                partial(_postgres_rows, peer, key),
            )


@contextmanager
def _postgres() -> Iterator[psycopg.Connection[Any]]:
    with (
        postgres_folder() as folder,
        Postgres(folder) as server,
        psycopg.connect(server.url, autocommit=True) as connection,
    ):
        yield connection


def _large_fleet(folder: Path) -> Figure:
    large = DeltaRepository(str(folder / "large"))
    large.write(readings_for(Fleet(devices=LARGE_FLEET), START))
    durations = []
    for round_number in range(ROUNDS):
        decode.cache_clear()
        offset = 12_345 * round_number % LARGE_FLEET
        started = time.perf_counter()
        page = large.snapshot().page(Window(START), offset=offset, size=PAGE)
        durations.append(time.perf_counter() - started)
        assert len(page.readings) == PAGE
    return Figure(
        "a page of 100 among 500,000 meters", 1000 * statistics.median(durations), "ms", 8
    )
