"""How cost grows with the number of stored readings, of 50,000 meters that report every five minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from django.core.management import call_command

from benchmarks.api_page import PAGE, api_page
from benchmarks.ratio import PROCESSOR_TIME, Point, processor_milliseconds
from exports.file_requests import FileSpec, accept
from exports.models import Supplier
from exports.pipeline import worker
from readings.ingest.backfill import backfill
from readings.repositories import open_repository, repository
from readings.repositories.delta.decoded_rows import decode
from readings.simulation.fleet import Fleet

START = datetime(2023, 2, 20, tzinfo=UTC)
FLEET = Fleet()


def measure(folder: Path, *sizes: int) -> Iterator[Point]:
    """Let one repository grow to each size, and yield the points of that size.

    The sizes are rounded to whole intervals. Nothing is maintained: everything is measured right after a backfill.
    """
    supplier = Supplier.objects.create(name="growth")
    meters, intervals = len(FLEET.meters), 0
    for size in sizes:
        first = START + intervals * FLEET.interval
        intervals = max(size // meters, 1)
        last = START + (intervals - 1) * FLEET.interval
        for _ in backfill(FLEET, repository(), first, last, datetime.now(UTC)):
            pass
        yield from _points(intervals * meters, last, supplier, folder)


def _points(readings: int, last: datetime, supplier: Supplier, folder: Path) -> Iterator[Point]:
    def page() -> None:
        assert api_page(START, readings - PAGE).count(b'"device_id"') == PAGE

    def cold_page() -> None:
        decode.cache_clear()
        page()

    def file() -> None:
        request = accept(supplier, FileSpec(last, last))
        while worker.run_next_step() is not None:
            pass
        request.refresh_from_db()
        assert request.record_count == len(FLEET.meters), request.reason

    page()
    works: dict[str, tuple[Callable[[], None], int]] = {
        "the last page of 100, nothing decoded": (cold_page, 20),
        "the last page of 100, cached": (page, 20),
        "a file of 50,000 readings": (file, 10),
        "`manage.py readings`, after its start": (_readings_command, 3),
    }
    for what, (work, rounds) in works.items():
        yield Point(what, PROCESSOR_TIME, readings, processor_milliseconds(work, rounds))
    stored = sum(file.stat().st_size for file in (folder / "readings").rglob("*") if file.is_file())
    yield Point("on disk", "MB", readings, stored / 1e6)


def _readings_command() -> None:
    # As in a new process: nothing that the repository has learned is left.
    open_repository.cache_clear()
    decode.cache_clear()
    call_command("readings", json=True, stdout=StringIO())
