"""The content of an export file, however its window is split into parts."""

from __future__ import annotations

import hashlib
import subprocess
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from pytest_django.fixtures import Settings

from exports.file_requests import FileSpec, accept
from exports.models import ExportPart, Status, Supplier
from exports.pipeline import export_file, worker
from exports.stores.durable_file import DurableFile
from readings.repositories import ReadingsRepository, repository
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.simulation.arrivals import readings_for
from readings.window import Window
from tests.exports.pipeline.conftest import READINGS_PER_INTERVAL, CreateRequest, finished
from tests.suppliers import END, FLEET, START, decompressed_file, expected_csv, file_path


def test_a_file_has_the_readings_of_the_window_and_no_others(
    alice: Supplier, readings: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = finished(
        accept(alice, FileSpec(START + timedelta(minutes=5), END - timedelta(minutes=1))), run_steps
    )

    expected = readings.filter(pl.col("time").is_between(request.start, request.end))
    assert request.status == Status.COMPLETED
    assert request.record_count == len(expected) == 7 * READINGS_PER_INTERVAL
    assert decompressed_file(request) == expected_csv(expected)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.starts_processes
def test_parts_that_are_written_separately_make_one_gzip_member(
    alice: Supplier,
    readings: pl.DataFrame,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
) -> None:
    request = finished(request_file(alice), run_steps)
    content = file_path(request.location).read_bytes()

    # zlib.decompress stops after the first member, and reports no error.
    assert request.parts.count() == 5
    assert zlib.decompress(content, wbits=31) == expected_csv(readings)
    assert subprocess.run(["gzip", "--test"], input=content, check=True).returncode == 0


def test_size_and_checksum_are_those_of_the_file(
    alice: Supplier,
    readings: pl.DataFrame,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
) -> None:
    request = finished(request_file(alice), run_steps)
    content = file_path(request.location).read_bytes()
    assert (request.size, request.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.usefixtures("small_parts", "readings")
def test_the_content_does_not_depend_on_the_parts_or_on_the_time(
    alice: Supplier,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = request_file(alice), request_file(alice)
    run_steps()
    third = request_file(alice)
    monkeypatch.setattr(export_file, "PART_READINGS", 10**9)
    run_steps()
    for request in (first, second, third):
        request.refresh_from_db()

    assert file_path(first.location).read_bytes() == file_path(second.location).read_bytes()
    assert decompressed_file(first) == decompressed_file(third)


def test_an_empty_window_gives_a_file_with_only_a_header(
    alice: Supplier,
    store: ReadingsRepository,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
) -> None:
    request = finished(request_file(alice), run_steps)
    no_readings = store.snapshot().page(Window(START), offset=0, size=1).readings
    assert (request.status, request.record_count) == (Status.COMPLETED, 0)
    assert decompressed_file(request) == expected_csv(no_readings)


def test_an_empty_window_can_end_as_skipped_as_in_the_reference(
    alice: Supplier,
    store: ReadingsRepository,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
    settings: Settings,
    exports_folder: Path,
) -> None:
    settings.EXPORTS_EMPTY_STATUS = "skipped"
    request = finished(request_file(alice), run_steps)
    assert (request.status, request.location) == (Status.SKIPPED, "")
    assert [path for path in exports_folder.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("small_parts")
def test_readings_written_after_the_plan_are_not_in_the_file(
    alice: Supplier,
    readings: pl.DataFrame,
    store: ReadingsRepository,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
) -> None:
    request = request_file(alice)
    worker.run_next_step()
    later = readings_for(FLEET, START + timedelta(minutes=5))
    store.write(later.with_columns(pl.col("time") + timedelta(seconds=1)))
    store.maintain()
    run_steps()
    request.refresh_from_db()
    assert decompressed_file(request) == expected_csv(readings)


def test_as_of_leaves_out_readings_that_arrived_later(
    alice: Supplier, store: ReadingsRepository, run_steps: Callable[[], None]
) -> None:
    readings = readings_for(FLEET, START).with_columns(
        pl.col("arrival_time") + pl.int_range(pl.len()) * timedelta(seconds=1)
    )
    store.write(readings)
    request = finished(
        accept(alice, FileSpec(START, END, as_of=START + timedelta(seconds=9))), run_steps
    )
    assert decompressed_file(request) == expected_csv(readings.head(10))


@pytest.mark.usefixtures("readings")
def test_a_part_with_another_number_of_readings_than_planned_is_an_error(
    alice: Supplier, request_file: CreateRequest
) -> None:
    request_file(alice)
    worker.run_next_step()
    ExportPart.objects.update(record_count=1)
    with pytest.raises(ValueError, match="but 1 were planned"):
        export_file.write_part(
            ExportPart.objects.get(), repository(), attempt="1", progress=lambda _: None
        )


@pytest.mark.usefixtures("readings")
def test_no_frame_is_read_after_the_export_store_has_failed(
    alice: Supplier, request_file: CreateRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_file(alice)
    worker.run_next_step()
    ended: list[str] = []

    def frames(*_: object, **__: object) -> Iterator[pl.DataFrame]:
        try:
            while True:
                yield readings_for(FLEET, START)
        finally:
            ended.append("frames")

    def full_disk(*_: object) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr(DeltaSnapshot, "frames", frames)
    monkeypatch.setattr(DurableFile, "write", full_disk)
    # The error keeps the frames of the calls that it ended.
    with pytest.raises(OSError, match="No space left") as error:
        export_file.write_part(
            ExportPart.objects.get(), repository(), attempt="1", progress=lambda _: None
        )
    assert error.tb is not None
    assert ended == ["frames"]


@pytest.mark.usefixtures("small_parts", "readings")
def test_a_file_is_visible_only_when_it_is_complete_and_no_part_is_left(
    alice: Supplier, exports_folder: Path, request_file: CreateRequest
) -> None:
    request = request_file(alice)
    visible: list[str] = []
    while worker.run_next_step() is not None:
        visible = [str(path.relative_to(exports_folder)) for path in exports_folder.glob("[!.]*/*")]
        request.refresh_from_db()
        assert bool(visible) == (request.status == Status.COMPLETED)
    assert visible == [request.location]
    assert list(exports_folder.glob(".parts/*")) == []
