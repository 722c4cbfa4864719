"""A page at three offsets of a day, compared with the reference's query, which numbers every row for each page."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory, force_authenticate

from benchmarks.ratio import Ratio, compare
from exports.models import Supplier
from readings.api import ReadingsViewSet
from readings.instants import format_instant
from readings.repositories import ReadingsRepository
from readings.repositories import repository as deployment_repository
from readings.repositories.delta.decoded_rows import decode
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window

DAY = datetime(2023, 2, 27, tzinfo=UTC)
OFFSETS = (0, 1_000_000, 10_000_000)
PAGE = 100
TARGET = 100
# The reference numbers all rows of the window, then selects the rows of one page.
REFERENCE_QUERY = """
    SELECT * FROM (
        SELECT row_number() OVER (ORDER BY time, device_id) AS "offset", *
        FROM readings WHERE time >= ?
    ) WHERE "offset" > ? ORDER BY "offset" LIMIT ?
"""


def measure(folder: Path) -> Iterator[Ratio]:
    """Write a day, and yield a ratio per offset."""
    repository = deployment_repository()
    _fill_day(repository)
    yield from _ratios(repository, folder)


def _fill_day(repository: ReadingsRepository) -> None:
    """Write a day of the default fleet, 14.4 million readings, and compact it."""
    fleet = Fleet()
    for hour in range(24):
        start = DAY + timedelta(hours=hour)
        times = fleet.intervals(start, start + timedelta(minutes=59))
        repository.write(pl.concat([readings_for(fleet, time) for time in times]))
    repository.maintain()


def _ratios(repository: ReadingsRepository, folder: Path) -> Iterator[Ratio]:
    """Yield a ratio per offset. headend answers a complete API call, with no decoded minutes in its cache."""
    with duckdb.connect(str(folder / "peer.duckdb")) as peer:
        _fill_peer(peer, repository)
        for base_offset in OFFSETS:
            offset = base_offset + random.Random(base_offset).randrange(PAGE)
            ours = _our_page(offset)
            theirs = peer.execute(
                REFERENCE_QUERY, [DAY.replace(tzinfo=None), offset, PAGE]
            ).fetchall()
            assert [record["device_id"] for record in ours] == [row[3] for row in theirs]

            def reference(offset: int = offset) -> None:
                peer.execute(REFERENCE_QUERY, [DAY.replace(tzinfo=None), offset, PAGE]).fetchall()

            yield compare(
                f"page at offset {base_offset:,}",
                "row_number() on DuckDB",
                TARGET,
                lambda offset=offset: _our_page(offset),  # type: ignore[misc] # bound per offset
                reference,
                rounds=3,
                ours_per_round=15,
            )


def _fill_peer(peer: duckdb.DuckDBPyConnection, repository: ReadingsRepository) -> None:
    for number, readings in enumerate(repository.snapshot().frames(Window(DAY))):
        # DuckDB's plain timestamps have no time zone.
        frame = readings.with_columns(
            pl.col("time", "arrival_time").dt.replace_time_zone(None)
        ).to_arrow()
        verb = "INSERT INTO readings" if number else "CREATE TABLE readings AS"
        peer.execute(f"{verb} SELECT * FROM frame")
        del frame


def _our_page(offset: int) -> list[dict[str, object]]:
    decode.cache_clear()
    query = {"start_date": format_instant(DAY), "page_size": str(PAGE), "offset": str(offset)}
    request: Request = APIRequestFactory().get("/readings", query)
    force_authenticate(request, Supplier(name="bench"))  # type: ignore[arg-type] # DRF expects a user
    response = ReadingsViewSet.as_view({"get": "list"})(request).render()
    records: list[dict[str, object]] = json.loads(response.content)["records"]
    return records
