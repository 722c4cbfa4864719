"""From a window of readings to one file: plan, parts, publish."""

from __future__ import annotations

import hashlib
import subprocess
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports.file_requests import FileSpec, accept, run_again
from exports.models import ExportPart, FileRequest, PartState, Status, Supplier
from exports.pipeline import cleanup, export_file, transitions, worker
from exports.pipeline.steps import WritePart
from exports.stores.disk import DiskStore
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.window import Window
from tests.suppliers import END, FLEET, START, decompressed_file, expected_csv, file_path

INTERVAL = len(FLEET.meters)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of two intervals, so that a small fleet makes several."""
    monkeypatch.setattr(export_file, "PART_READINGS", 2 * INTERVAL)


def request_of(supplier: Supplier) -> FileRequest:
    return accept(supplier, FileSpec(START, END))


def test_a_file_holds_the_windows_readings_and_nothing_else(
    alice: Supplier, readings: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = accept(alice, FileSpec(START + timedelta(minutes=5), END - timedelta(minutes=1)))
    run_steps()
    request.refresh_from_db()

    inside = readings.filter(pl.col("time").is_between(request.start, request.end))
    assert request.status == Status.COMPLETED
    assert request.record_count == len(inside) == 7 * INTERVAL
    assert decompressed_file(request) == expected_csv(inside)


@pytest.mark.usefixtures("small_parts")
def test_parts_written_apart_make_one_gzip_member(
    alice: Supplier, readings: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = request_of(alice)
    run_steps()
    request.refresh_from_db()
    whole = file_path(request.location).read_bytes()

    # zlib.decompress stops behind the first member, without a word.
    assert request.parts.count() == 5
    assert zlib.decompress(whole, wbits=31) == expected_csv(readings)
    assert subprocess.run(["gzip", "--test"], input=whole, check=True).returncode == 0


def test_size_and_checksum_are_those_of_the_file(
    alice: Supplier, readings: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = request_of(alice)
    run_steps()
    request.refresh_from_db()
    whole = file_path(request.location).read_bytes()
    assert (request.size, request.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())


@pytest.mark.usefixtures("small_parts", "readings")
def test_the_file_does_not_depend_on_how_it_was_cut_or_when(
    alice: Supplier, run_steps: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = request_of(alice), request_of(alice)
    run_steps()
    third = request_of(alice)
    monkeypatch.setattr(export_file, "PART_READINGS", 10**9)
    run_steps()
    for request in (first, second, third):
        request.refresh_from_db()

    assert file_path(first.location).read_bytes() == file_path(second.location).read_bytes()
    assert decompressed_file(first) == decompressed_file(third)


def test_a_window_without_readings_ends_with_a_header_alone(
    alice: Supplier, store: ReadingsRepository, run_steps: Callable[[], None]
) -> None:
    request = request_of(alice)
    run_steps()
    request.refresh_from_db()
    assert (request.status, request.record_count) == (Status.COMPLETED, 0)
    assert decompressed_file(request) == expected_csv(
        store.snapshot().page(_everything(), offset=0, size=1).readings
    )


def test_a_deployment_may_answer_an_empty_window_as_the_reference_does(
    alice: Supplier,
    store: ReadingsRepository,
    run_steps: Callable[[], None],
    settings: Settings,
    exports_folder: Path,
) -> None:
    settings.EXPORTS_EMPTY_STATUS = "skipped"
    request = request_of(alice)
    run_steps()
    request.refresh_from_db()
    assert (request.status, request.location) == (Status.SKIPPED, "")
    assert [path for path in exports_folder.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("small_parts")
def test_readings_written_behind_the_plan_are_not_in_the_file(
    alice: Supplier,
    readings: pl.DataFrame,
    store: ReadingsRepository,
    run_steps: Callable[[], None],
) -> None:
    request = request_of(alice)
    worker.run_next_step()
    odd = readings_for(FLEET, START + timedelta(minutes=5))
    store.write(odd.with_columns(pl.col("time") + timedelta(seconds=1)))
    store.maintain()
    run_steps()
    request.refresh_from_db()
    assert decompressed_file(request) == expected_csv(readings)


def test_as_of_leaves_out_what_arrived_later(
    alice: Supplier, store: ReadingsRepository, run_steps: Callable[[], None]
) -> None:
    readings = readings_for(FLEET, START).with_columns(
        pl.col("arrival_time") + pl.int_range(pl.len()) * timedelta(seconds=1)
    )
    store.write(readings)
    request = accept(alice, FileSpec(START, END, as_of=START + timedelta(seconds=9)))
    run_steps()
    request.refresh_from_db()
    assert decompressed_file(request) == expected_csv(readings.head(10))


@pytest.mark.usefixtures("small_parts", "readings")
def test_nothing_shows_before_it_is_whole_and_nothing_is_left_behind(
    alice: Supplier, exports_folder: Path
) -> None:
    request = request_of(alice)
    shown: list[str] = []
    while worker.run_next_step() is not None:
        shown = [str(p.relative_to(exports_folder)) for p in exports_folder.glob("[!.]*/*")]
        request.refresh_from_db()
        assert bool(shown) == (request.status == Status.COMPLETED)
    assert shown == [request.location]
    assert list(exports_folder.glob(".parts/*")) == []


@pytest.mark.usefixtures("small_parts", "readings")
def test_an_attempt_left_behind_is_done_again_with_the_same_bytes(
    alice: Supplier,
    readings: pl.DataFrame,
    run_steps: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = request_of(alice)
    worker.run_next_step()
    abandoned = request.parts.order_by("number")[1]
    assert WritePart.claim(abandoned.pk) is not None
    run_steps()
    request.refresh_from_db()
    assert request.status == Status.RUNNING

    monkeypatch.setattr(timezone, "now", lambda: START + timedelta(days=40_000))
    run_steps()
    request.refresh_from_db()
    assert request.status == Status.COMPLETED
    assert decompressed_file(request) == expected_csv(readings)


@pytest.mark.usefixtures("small_parts", "readings")
def test_a_worker_that_comes_back_late_changes_nothing(
    alice: Supplier, readings: pl.DataFrame, run_steps: Callable[[], None]
) -> None:
    request = request_of(alice)
    worker.run_next_step()
    part = request.parts.order_by("number")[0]
    late = WritePart.claim(part.pk)
    assert late is not None
    ExportPart.objects.filter(pk=part.pk).update(leased_until=START)
    run_steps()

    written = transitions.WrittenPart("elsewhere", 1, {"crc32": 1, "plain_size": 1})
    assert not transitions.finish_part(late.lease, written)
    assert not late.renew()
    request.refresh_from_db()
    assert decompressed_file(request) == expected_csv(readings)


@pytest.mark.usefixtures("small_parts", "readings")
def test_a_cancelled_request_stops_and_leaves_nothing(
    alice: Supplier, run_steps: Callable[[], None], exports_folder: Path
) -> None:
    request = request_of(alice)
    worker.run_next_step()
    worker.run_next_step()
    assert transitions.cancel(request.pk)
    run_steps()
    request.refresh_from_db()
    assert (request.status, request.reason) == (Status.FAILED, "cancelled")
    FileRequest.objects.filter(pk=request.pk).update(finished_at=START)
    cleanup.remove_leftovers()
    assert list(exports_folder.rglob("*-*")) == []


@pytest.mark.usefixtures("readings")
def test_a_step_that_keeps_failing_fails_its_request_with_the_reason(
    alice: Supplier, exports_folder: Path, settings: Settings
) -> None:
    settings.EXPORTS_ATTEMPTS = 3
    request = request_of(alice)
    worker.run_next_step()
    (exports_folder / ".parts").write_text("where a folder should be")
    for _ in range(settings.EXPORTS_ATTEMPTS):
        ExportPart.objects.update(leased_until=None)
        worker.run_next_step()
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert "Not a directory" in request.reason


@pytest.mark.usefixtures("readings")
def test_a_failed_attempt_is_not_repeated_at_once(alice: Supplier, exports_folder: Path) -> None:
    request = request_of(alice)
    worker.run_next_step()
    (exports_folder / ".parts").write_text("where a folder should be")
    assert worker.run_next_step() == 0
    assert worker.run_next_step() is None
    part = request.parts.get()
    assert (part.state, part.attempts) == (PartState.PENDING, 1)
    assert "Not a directory" in part.error


@pytest.mark.usefixtures("readings")
def test_a_file_that_cannot_be_removed_is_withdrawn_and_removed_later(
    alice: Supplier, run_steps: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(alice)
    run_steps()
    FileRequest.objects.filter(pk=request.pk).update(expires_at=START)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("read-only")

    with monkeypatch.context() as broken:
        broken.setattr(DiskStore, "delete_files", refuse)
        assert cleanup.expire_files() == 0
    request.refresh_from_db()
    assert not request.has_file
    assert file_path(request.location).exists()
    assert cleanup.expire_files() == 1
    assert not file_path(request.location).exists()


@pytest.mark.usefixtures("readings")
def test_an_expired_file_is_gone_and_its_row_says_so(
    alice: Supplier, run_steps: Callable[[], None]
) -> None:
    request = request_of(alice)
    run_steps()
    FileRequest.objects.filter(pk=request.pk).update(expires_at=START)
    request.refresh_from_db()
    assert cleanup.expire_files() == 1
    assert not file_path(request.location).exists()
    request.refresh_from_db()
    assert request.status == Status.COMPLETED
    assert request.expired_at is not None
    assert not request.has_file
    assert cleanup.expire_files() == 0


@pytest.mark.usefixtures("readings")
def test_a_request_run_again_is_a_new_one(alice: Supplier, run_steps: Callable[[], None]) -> None:
    first = request_of(alice)
    run_steps()
    second = run_again(first)
    run_steps()
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.pk != second.pk
    assert decompressed_file(first) == decompressed_file(second)


def _everything() -> Window:
    return Window(START)
