"""How cost grows with the number of meters: write one interval, and read a page of 100 among its readings."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.api_page import api_page
from benchmarks.ratio import PROCESSOR_TIME, Point, processor_milliseconds
from readings.repositories import repository
from readings.repositories.delta.decoded_rows import decode
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY

START = datetime(2023, 2, 20, tzinfo=UTC)
INTERVALS, PAGES = 5, 20


def measure(_folder: Path, *sizes: int) -> Iterator[Point]:
    """Write some intervals for each number of meters, each number on another day, and yield the points."""
    for number, meters in enumerate(sizes):
        fleet, day = Fleet(devices=meters), START + number * DAY
        times = fleet.intervals(day, day + (INTERVALS - 1) * fleet.interval)
        writes = [_write_milliseconds(fleet, time) for time in times]
        pages = [_page_milliseconds(day, meters * place // PAGES) for place in range(PAGES)]
        yield Point("write one interval", PROCESSOR_TIME, meters, statistics.median(writes))
        yield Point(
            "a page of 100, nothing decoded", PROCESSOR_TIME, meters, statistics.median(pages)
        )


def _write_milliseconds(fleet: Fleet, at: datetime) -> float:
    readings = readings_for(fleet, at)
    return processor_milliseconds(lambda: repository().write(readings), 1)


def _page_milliseconds(start: datetime, offset: int) -> float:
    decode.cache_clear()
    return processor_milliseconds(lambda: api_page(start, offset), 1)
