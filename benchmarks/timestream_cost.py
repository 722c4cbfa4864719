"""``python -m benchmarks.timestream_cost``: the bytes that Timestream charges, compared with the reference's queries.

The service charges for the bytes that a query scans, at least ten megabytes per query. How it counts them is documented
only roughly; ``tests/timestream_local/scanned_bytes.py`` says which rules the local server uses.
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

from benchmarks.preparation import clean_up_after_sigterm, forget_settings, print_needs
from readings.ingest.backfill import backfill
from readings.repositories.timestream.address import TimestreamAddress
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
PAGE_SIZE = 100
DEEP_OFFSET = 10_000_000
DISK_BYTES, SECONDS = 1_000_000_000, 660
_READINGS = "time, arrival_time, device_id, measure_name, load, crrnt, pf, kva, kw, vltg"
_GLUE_PARTITIONS = 10


def main() -> None:
    """Fill a table, run our queries and the reference's, and print what they scan."""
    clean_up_after_sigterm()
    forget_settings()
    print_needs(DISK_BYTES, SECONDS)
    os.environ |= AWS
    folder = Path(tempfile.mkdtemp(prefix="headend-timestream-cost-"))
    console = Console(width=120)
    try:
        with (
            SeaweedFS(folder / "seaweedfs") as bucket,
            TimestreamLocal(folder / "timestream", s3=bucket) as server,
        ):
            address = TimestreamAddress.of(server.url)
            table = Table(address, Clients(address))
            table.create_database()
            table.create(magnetic=timedelta(days=73_000))
            repository = TimestreamRepository(address)
            batches = backfill(FLEET, repository, START, END, datetime.now(UTC))
            for _ in track(batches, "filling", total=-(-INTERVALS // 12), console=console):
                pass
            console.print(_measured(server, address))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(server: TimestreamLocal, address: TimestreamAddress) -> Printed:
    ours, window = _Headend(address), Window(START, END)
    reference = _Reference(address)
    rows: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("page at offset 0", lambda: ours.page(0), lambda: reference.page(0)),
        (
            f"page at offset {DEEP_OFFSET:,}",
            lambda: ours.page(DEEP_OFFSET),
            lambda: reference.page(DEEP_OFFSET),
        ),
        (
            "the next page",
            lambda: ours.page(DEEP_OFFSET + PAGE_SIZE),
            lambda: reference.page(DEEP_OFFSET + PAGE_SIZE),
        ),
        ("count by another process", lambda: _Headend(address).count(window), reference.count),
        ("the same count again", lambda: ours.count(window), reference.count),
        ("export of the window", lambda: ours.export(window), reference.export),
    ]
    printed = Printed(title=f"{INTERVALS * len(FLEET.meters):,} readings, pages of {PAGE_SIZE}")
    for name in ("what", "queries", "MB scanned", "MB charged", "queries (reference)", "MB scanned (reference)", "MB charged (reference)"):  # fmt: skip
        printed.add_column(name, justify="left" if name == "what" else "right")
    for name, ours_work, theirs in rows:
        printed.add_row(name, *_cost(server, ours_work), *_cost(server, theirs))
    return printed


def _cost(server: TimestreamLocal, work: Callable[[], object]) -> list[str]:
    server.queries()
    work()
    queries = server.queries()
    megabytes = [
        sum(query[kind] for query in queries) / 1e6 for kind in ("bytes_scanned", "bytes_metered")
    ]
    return [str(len(queries)), *(f"{each:,.1f}" for each in megabytes)]


class _Headend:
    """The queries of one headend process. It caches the counts of a page for the next page."""

    def __init__(self, address: TimestreamAddress) -> None:
        self._repository = TimestreamRepository(address)

    def page(self, offset: int) -> None:
        page = self._repository.snapshot().page(Window(START), offset=offset, size=PAGE_SIZE)
        assert len(page.readings) == PAGE_SIZE

    def count(self, window: Window) -> None:
        counted = self._repository.snapshot().minute_counts(window)["readings"].sum()
        assert counted == INTERVALS * len(FLEET.meters)

    def export(self, window: Window) -> None:
        extract = self._repository.create_extract(window, "benchmark/1")
        counted = extract.minute_counts(window)["readings"].sum()
        self._repository.delete_extracts("benchmark")
        assert counted == INTERVALS * len(FLEET.meters)


class _Reference:
    """The reference's queries: number every row for a page, count, and read the partitions of a Glue job by time."""

    def __init__(self, address: TimestreamAddress) -> None:
        self._queries = Queries(Clients(address))
        self._table = f'"{address.database}"."{address.table}"'

    def page(self, offset: int) -> None:
        rows = self._queries.rows(
            f"SELECT place, {_READINGS} FROM (SELECT row_number() OVER (ORDER BY time, device_id) AS place,"
            f" {_READINGS} FROM {self._table} WHERE time >= '{START:%Y-%m-%d %H:%M:%S}')"
            f" WHERE place > {offset} AND place <= {offset + PAGE_SIZE} ORDER BY place"
        )
        assert len(rows) == PAGE_SIZE

    def count(self) -> None:
        self._queries.rows(f"SELECT count(*) AS n FROM {self._table} WHERE {_between(START, END)}")

    def export(self) -> None:
        self.count()
        each = (END - START) / _GLUE_PARTITIONS
        for number in range(_GLUE_PARTITIONS):
            inside = _between(START + number * each, START + (number + 1) * each)
            # Counting the rows scans the same bytes as returning them, and is faster.
            select = f"SELECT {_READINGS} FROM {self._table} WHERE {inside}"
            self._queries.frame(f"SELECT count(*) AS n FROM ({select})", {"n": pl.Int64()})


def _between(start: datetime, end: datetime) -> str:
    return f"time >= '{start:%Y-%m-%d %H:%M:%S}' AND time <= '{end:%Y-%m-%d %H:%M:%S}'"


if __name__ == "__main__":
    main()
