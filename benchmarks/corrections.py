"""Readings of which one in ten was corrected, compared with the same number of readings without corrections.

50,000 meters send a reading every five minutes, for an hour. Each hour is on another day of one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import polars as pl
from django.conf import settings

from benchmarks.api_page import PAGE, api_page
from benchmarks.ratio import Ratio, compare
from readings import frame
from readings.repositories import open_store, repository
from readings.repositories.delta import compaction
from readings.repositories.delta.decoded_rows import decode
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY, Position, Window

FLEET = Fleet(devices=50_000)
NOT_CORRECTED = datetime(2023, 2, 20, tzinfo=UTC)
CORRECTED, COMPACTED = NOT_CORRECTED + 2 * DAY, NOT_CORRECTED + 4 * DAY
INTERVALS, ROUNDS, PAGES_FOLLOWED = 12, 21, 60
ONE_IN = 10
PEER = "without corrections"


def measure(folder: Path) -> Iterator[Ratio]:
    """Write three hours, correct two of them, compact one of these, and yield the rows."""
    open_store(settings.READINGS_URL).create()
    for day in (COMPACTED, NOT_CORRECTED, CORRECTED):
        times = (day + number * FLEET.interval for number in range(INTERVALS))
        readings = pl.concat([readings_for(FLEET, time) for time in times])
        repository().write(readings)
        if day != NOT_CORRECTED:
            repository().write(_corrections(readings), corrections=True)
        if day == COMPACTED:
            _compact()
    for state, day in (("one reading in ten corrected", CORRECTED), ("compacted", COMPACTED)):
        yield _compare(f"a page of 100, nothing decoded, {state}", day, _page)
        yield _compare(f"{PAGES_FOLLOWED} pages by `next`, nothing decoded, {state}", day, _follow)
        yield _compare(f"600,000 readings in frames, {state}", day, _frames)
        yield _compare(f"a meter's hour, nothing decoded, {state}", day, _meter)


def _corrections(readings: pl.DataFrame) -> pl.DataFrame:
    return readings.gather_every(ONE_IN).with_columns(
        pl.col("arrival_time") + timedelta(hours=5), kw=pl.col("kw") + 1
    )


def _compact() -> None:
    enough, compaction.MIN_CORRECTION_FILES = compaction.MIN_CORRECTION_FILES, 1
    assert repository().maintain()["days compacted"] == 1
    compaction.MIN_CORRECTION_FILES = enough


def _compare(what: str, day: datetime, read: Callable[[datetime, int], None]) -> Ratio:
    numbers = count()

    def ours() -> None:
        read(day, next(numbers))

    def theirs() -> None:
        read(NOT_CORRECTED, next(numbers))

    ours()
    theirs()
    return compare(what, PEER, 0.5, ours, theirs, rounds=ROUNDS)


def _page(start: datetime, number: int) -> None:
    decode.cache_clear()
    api_page(start, number * 4_801 % (FLEET.devices * INTERVALS - PAGE))


def _follow(start: datetime, number: int) -> None:
    decode.cache_clear()
    after: Position | None = None
    for _ in range(PAGES_FOLLOWED):
        page = repository().snapshot().page(Window(start), offset=0, size=PAGE, after=after)
        after = Position(*page.readings.select(frame.ORDER).row(-1))


def _frames(start: datetime, number: int) -> None:
    frames = repository().snapshot().frames(Window(start, start + DAY))
    assert sum(map(len, frames)) == FLEET.devices * INTERVALS


def _meter(start: datetime, number: int) -> None:
    decode.cache_clear()
    device_id = FLEET.meters.device_id[number * 7_919 % FLEET.devices]
    window = Window(start, start + DAY, (device_id,))
    page = repository().snapshot().page(window, offset=0, size=PAGE)
    assert len(page.readings) == INTERVALS
