"""ClickHouse compared with Delta on a disk, with the same 14.4 million readings. The tests' local ClickHouse runs it.

ClickHouse is measured with the readings of a day in two states. First, the server has merged them. Then, merges are
stopped and ten percent of the readings are late, so each interval has two parts that overlap.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl
from django.test import override_settings

from benchmarks.export_run import run_steps_with_workers
from benchmarks.ratio import Figure, Ratio, compare, duration
from exports.file_requests import FileSpec, accept
from exports.models import Status, Supplier
from readings import frame
from readings.ingest.backfill import backfill
from readings.repositories import ReadingsRepository, open_repository, open_store
from readings.repositories.clickhouse.address import ClickHouseAddress
from readings.repositories.clickhouse.repository import ClickHouseRepository
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY, Window
from tests.services.clickhouse import ClickHouseLocal

START = datetime(2023, 2, 27, tzinfo=UTC)
FLEET = Fleet(devices=50_000)
LATE_FLEET = Fleet(devices=50_000, late_arrivals=True)
INTERVALS = 288
OFFSETS = (0, 1_012_345, 10_012_345)
PAGE = 100
ROUNDS, SLOW_ROUNDS = 20, 3
MAX_COLD_MS, MAX_CACHED_MS, MAX_METER_SECONDS, MIN_EXPORT_RATIO = 25, 2, 0.5, 0.6
EXPORTED = Window(START, START + DAY / 4 - timedelta(microseconds=1))
DELTA = "Delta on a disk"


def measure(folder: Path) -> Iterator[Ratio | Figure]:
    """Fill both engines and yield a row per comparison."""
    delta = f"delta://{folder / 'delta'}"
    open_store(delta).create()
    _fill(open_repository(delta))
    # A deployment runs maintenance every hour.
    open_repository(delta).maintain()
    with ClickHouseLocal(folder / "clickhouse") as server:
        with server.new_database() as url:
            open_store(url).create()
            _fill(open_repository(url))
            _wait_for_merges(server)
            yield from _compare(url, delta, "")
            yield from _files(url, delta, "")
            yield from _writes(open_repository(url), open_repository(delta))
        with server.new_database() as url:
            open_store(url).create()
            server.run("SYSTEM STOP MERGES")
            _fill_with_late_readings(open_repository(url))
            yield from _compare(url, delta, ", 10 % late and not merged")
            yield from _files(url, delta, ", 10 % late and not merged")


def _fill(repository: ReadingsRepository) -> None:
    end = START + (INTERVALS - 1) * FLEET.interval
    for _ in backfill(FLEET, repository, START, end, datetime.now(UTC)):
        pass


def _wait_for_merges(server: ClickHouseLocal) -> None:
    """Wait until the server has merged the new readings. A merge takes a core from the queries that are measured."""
    while int(server.run("SELECT count() FROM system.merges")):
        time.sleep(1)


def _fill_with_late_readings(repository: ReadingsRepository) -> None:
    late = []
    for number in range(INTERVALS):
        readings = readings_for(LATE_FLEET, START + number * LATE_FLEET.interval)
        repository.write(readings.filter(~frame.is_late()))
        late.append(readings.filter(frame.is_late()))
    for each in late:
        repository.write(each)


def _compare(url: str, delta_url: str, state: str) -> Iterator[Ratio | Figure]:
    ours, delta = open_repository(url), open_repository(delta_url)
    for offset in OFFSETS:
        _page(ours, offset)
        cold = [
            duration(partial(_page, ours, offset + number * PAGE))
            for number in range(1, ROUNDS + 1)
        ]
        cached = [duration(partial(_page, ours, offset)) for _ in range(ROUNDS)]
        name = f"a page of {PAGE} at offset {offset:,}{state}"
        yield Figure(f"{name}, not cached", 1000 * statistics.median(cold), "ms", MAX_COLD_MS)
        yield Figure(f"{name}, cached", 1000 * statistics.median(cached), "ms", MAX_CACHED_MS)
    meter = Window(START, START + DAY, device_ids=(str(FLEET.meters.device_id[777]),))
    seconds = [duration(lambda: ours.snapshot().hourly_means(meter)) for _ in range(SLOW_ROUNDS)]
    yield Figure(f"a meter's day{state}", statistics.median(seconds), "s", MAX_METER_SECONDS)
    yield _ratio(
        f"the counts of a day{state}",
        0,
        lambda: _count(ClickHouseRepository(ClickHouseAddress.of(url))),
        lambda: _count(DeltaRepository(delta_url.removeprefix("delta://"))),
    )
    extract = ours.create_extract(EXPORTED, "benchmark/1")
    yield _ratio(
        f"reading 3.6 M readings{state}",
        0,
        lambda: _read(extract.frames(EXPORTED)),
        lambda: _read(delta.snapshot().frames(EXPORTED)),
    )


def _files(url: str, delta_url: str, state: str) -> Iterator[Ratio]:
    supplier = Supplier.objects.get_or_create(name="bench")[0]
    yield _ratio(
        f"a file of 3.6 M readings{state}",
        MIN_EXPORT_RATIO,
        lambda: _export(supplier, url),
        lambda: _export(supplier, delta_url),
    )


def _export(supplier: Supplier, url: str) -> None:
    """Export a file with two workers, from the request to the published file."""
    assert EXPORTED.end is not None
    with override_settings(READINGS_URL=url):
        request = accept(supplier, FileSpec(EXPORTED.start, EXPORTED.end))
        run_steps_with_workers(2)
    request.refresh_from_db()
    assert request.status == Status.COMPLETED, request.reason


def _writes(ours: ReadingsRepository, delta: ReadingsRepository) -> Iterator[Ratio]:
    """Compare writes of an interval that follows the stored ones."""
    following = {id(each): START + INTERVALS * FLEET.interval for each in (ours, delta)}

    def write(repository: ReadingsRepository) -> None:
        readings = readings_for(FLEET, following[id(repository)])
        following[id(repository)] += FLEET.interval
        assert repository.write(readings) == len(readings)

    yield compare(
        "a write of an interval of 50,000 meters", DELTA, 0, lambda: write(ours), lambda: write(delta), rounds=ROUNDS,
    )  # fmt: skip


def _ratio(
    what: str, target: float, ours: Callable[[], object], theirs: Callable[[], object]
) -> Ratio:
    return compare(what, DELTA, target, ours, theirs, rounds=SLOW_ROUNDS)


def _page(repository: ReadingsRepository, offset: int) -> None:
    page = repository.recent_snapshot().page(Window(START), offset=offset, size=PAGE)
    assert len(page.readings) == PAGE


def _count(new: ReadingsRepository) -> None:
    """Count the day's minutes with a repository that has cached nothing."""
    assert len(new.snapshot().minute_counts(Window(START, START + DAY))) >= INTERVALS


def _read(frames: Iterator[pl.DataFrame]) -> None:
    assert sum(len(readings) for readings in frames) >= 0.99 * 3_600_000
