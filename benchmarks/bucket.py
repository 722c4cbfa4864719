"""Readings in a bucket of a local S3 server. A proxy in front of it adds 20 ms to each call, as a network does.

The peer is the same table on a disk.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from isal import igzip

from benchmarks.ratio import Figure, Ratio, compare, duration
from readings.repositories.delta.address import BucketAddress
from readings.repositories.delta.bucket import BucketFolder
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.services.fault_proxy import FaultProxy
from tests.services.servers import AWS, SeaweedFS

FLEET = Fleet(devices=50_000)
START = datetime(2023, 2, 27, tzinfo=UTC)
INTERVALS, PAGE, ROUNDS = 24, 100, 5
DELAY_SECONDS = 0.02


def measure(folder: Path) -> Iterator[Ratio | Figure]:
    """Write two hours of 50,000 meters into a bucket and on a disk, and yield the rows."""
    os.environ.update(AWS)
    with (
        SeaweedFS(folder / "seaweedfs") as server,
        FaultProxy(server.endpoint, share=0, delay_seconds=DELAY_SECONDS) as proxy,
    ):
        near = _repository(server.readings_url("readings"))
        far = _repository(server.readings_url("readings", proxy.url))
        disk = DeltaRepository(str(folder / "readings"))
        for number in range(INTERVALS):
            for each in (near, disk):
                each.write(readings_for(FLEET, _time(number)))
        far.snapshot()
        yield _figure("a page of 100, nothing decoded", lambda n: _page(far, 2 * n), 60)
        yield _figure("a cached page of 100", lambda _: _page(far, 0), 5)
        yield _figure("two hours of a meter", lambda n: _meter(far, n), 200)
        yield _after_write(near, far)
        yield compare(
            "all readings as CSV in gzip, from a bucket",
            "the same table on a disk",
            0.7,
            lambda: _export(far),
            lambda: _export(disk),
            rounds=ROUNDS,
        )


def _repository(url: str) -> DeltaRepository:
    return DeltaRepository(BucketFolder(BucketAddress.of(url)))


def _time(number: int) -> datetime:
    return START + number * FLEET.interval


def _figure(what: str, call: Callable[[int], None], limit: float) -> Figure:
    # The first call opens connections.
    call(0)
    seconds = [duration(partial(call, number)) for number in range(1, 1 + ROUNDS)]
    return Figure(f"{what}, in a bucket", 1000 * statistics.median(seconds), "ms", limit)


def _page(repository: DeltaRepository, interval: int) -> None:
    window = Window(_time(interval))
    repository.recent_snapshot().page(window, offset=FLEET.devices // 2, size=PAGE)


def _meter(repository: DeltaRepository, number: int) -> None:
    meter = FLEET.meters.device_id[number * 1000]
    window = Window(START, START + timedelta(hours=2), (meter,))
    repository.snapshot().page(window, offset=0, size=PAGE)


def _after_write(writer: DeltaRepository, reader: DeltaRepository) -> Figure:
    def page_of_a_new_interval(number: int) -> float:
        writer.write(readings_for(FLEET, _time(INTERVALS + number)))
        time.sleep(BucketFolder.recheck_seconds)
        return duration(partial(_page, reader, INTERVALS + number))

    seconds = [page_of_a_new_interval(number) for number in range(ROUNDS)]
    what = "the first page after another process's write, in a bucket"
    return Figure(what, 1000 * statistics.median(seconds), "ms", 150)


def _export(repository: DeltaRepository) -> None:
    window = Window(START, _time(INTERVALS - 1))
    for readings in repository.snapshot().frames(window):
        igzip.compress(readings.write_csv().encode(), 1)
