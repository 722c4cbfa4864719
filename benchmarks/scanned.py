"""``python -m benchmarks.scanned``: what Timestream bills for, ours beside the reference, on the local server.

The service bills by the bytes a query scans, ten megabytes a query at least. How it counts them is only
roughly documented; ``tests/timestream_local/scanned.py`` says what is taken for it here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.progress import track
from rich.table import Table as Printed

from readings.ingest.backfill import backfill
from readings.repositories.timestream.address import Address
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.queries import Queries
from readings.repositories.timestream.repository import TimestreamRepository
from readings.repositories.timestream.table import Table
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.services.servers import AWS, SeaweedFS
from tests.services.timestream import TimestreamLocal

FLEET = Fleet(devices=50_000)
INTERVALS = 210
START = datetime(2023, 2, 27, tzinfo=UTC)
END = START + (INTERVALS - 1) * FLEET.interval
PAGE = 100
DEEP = 10_000_000
_READINGS = "time, arrival_time, device_id, measure_name, load, crrnt, pf, kva, kw, vltg"
_GLUE_PARTITIONS = 10


def main() -> None:
    """Fill a table, ask both ways, print."""
    os.environ |= AWS
    folder = Path(tempfile.mkdtemp(prefix="headend-scanned-"))
    console = Console(width=120)
    try:
        with (
            SeaweedFS(folder / "seaweedfs") as bucket,
            TimestreamLocal(folder / "timestream", s3=bucket) as server,
        ):
            address = Address.of(server.url)
            table = Table(address, Clients(address))
            table.create_database()
            table.create(magnetic=timedelta(days=73_000))
            store = TimestreamRepository(address)
            stretches = backfill(FLEET, store, START, END, datetime.now(UTC))
            for _ in track(stretches, "filling", total=-(-INTERVALS // 12), console=console):
                pass
            console.print(_measured(server, address))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(server: TimestreamLocal, address: Address) -> Printed:
    ours, window = _Ours(address), Window(START, END)
    reference = _Reference(address)
    rows: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("page at offset 0", lambda: ours.page(0), lambda: reference.page(0)),
        (f"page at offset {DEEP:,}", lambda: ours.page(DEEP), lambda: reference.page(DEEP)),
        ("the next one", lambda: ours.page(DEEP + PAGE), lambda: reference.page(DEEP + PAGE)),
        ("count, by another process", lambda: _Ours(address).count(window), reference.count),
        ("count, once more", lambda: ours.count(window), reference.count),
        ("export of the window", lambda: ours.export(window), reference.export),
    ]
    printed = Printed(title=f"{INTERVALS * len(FLEET.meters):,} readings, pages of {PAGE}")
    for name in ("what", "queries", "MB scanned", "MB metered", "queries (ref)", "MB scanned (ref)", "MB metered (ref)"):  # fmt: skip
        printed.add_column(name, justify="left" if name == "what" else "right")
    for name, by_us, by_reference in rows:
        printed.add_row(name, *_cost(server, by_us), *_cost(server, by_reference))
    return printed


def _cost(server: TimestreamLocal, ask: Callable[[], object]) -> list[str]:
    server.queries()
    ask()
    asked = server.queries()
    megabytes = [
        sum(query[kind] for query in asked) / 1e6 for kind in ("bytes_scanned", "bytes_metered")
    ]
    return [str(len(asked)), *(f"{each:,.1f}" for each in megabytes)]


class _Ours:
    """One process that goes on: what it has counted for a page it does not count for the next."""

    def __init__(self, address: Address) -> None:
        self._store = TimestreamRepository(address)

    def page(self, offset: int) -> None:
        page = self._store.snapshot().page(Window(START), offset=offset, size=PAGE)
        assert len(page.readings) == PAGE

    def count(self, window: Window) -> None:
        counted = self._store.snapshot().minute_counts(window)["readings"].sum()
        assert counted == INTERVALS * len(FLEET.meters)

    def export(self, window: Window) -> None:
        extract = self._store.create_extract(window, "scanned/1")
        counted = extract.minute_counts(window)["readings"].sum()
        self._store.delete_extracts("scanned")
        assert counted == INTERVALS * len(FLEET.meters)


class _Reference:
    """The reference's queries: every row numbered for a page, a count, and a Glue job's partitions by time."""

    def __init__(self, address: Address) -> None:
        self._queries = Queries(Clients(address))
        self._table = f'"{address.database}"."{address.table}"'

    def page(self, offset: int) -> None:
        rows = self._queries.rows(
            f"SELECT place, {_READINGS} FROM (SELECT row_number() OVER (ORDER BY time, device_id) AS place,"
            f" {_READINGS} FROM {self._table} WHERE time >= '{START:%Y-%m-%d %H:%M:%S}')"
            f" WHERE place > {offset} AND place <= {offset + PAGE} ORDER BY place"
        )
        assert len(rows) == PAGE

    def count(self) -> None:
        self._queries.rows(f"SELECT count(*) AS n FROM {self._table} WHERE {_between(START, END)}")

    def export(self) -> None:
        self.count()
        each = (END - START) / _GLUE_PARTITIONS
        for number in range(_GLUE_PARTITIONS):
            inside = _between(START + number * each, START + (number + 1) * each)
            # The rows themselves take long to page through, and cost nothing more.
            select = f"SELECT {_READINGS} FROM {self._table} WHERE {inside}"
            self._queries.frame(f"SELECT count(*) AS n FROM ({select})", {"n": pl.Int64()})


def _between(start: datetime, end: datetime) -> str:
    return f"time >= '{start:%Y-%m-%d %H:%M:%S}' AND time <= '{end:%Y-%m-%d %H:%M:%S}'"


if __name__ == "__main__":
    main()
