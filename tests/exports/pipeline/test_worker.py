"""Steps whose worker dies, fails, is too slow or comes too late: they are retried, then the request fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.db import connection
from django.db.models import DateTimeField
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports.leases import heartbeat
from exports.models import ExportPart, FileRequest, PartState, Status, Supplier
from exports.pipeline import export_file, transitions, worker
from exports.pipeline.steps import WritePart
from exports.stores.disk import DiskStore
from tests.exports.pipeline.conftest import CreateRequest
from tests.suppliers import START, decompressed_file, expected_csv


@pytest.mark.usefixtures("small_parts")
def test_an_abandoned_attempt_is_repeated_with_the_same_bytes(
    alice: Supplier,
    readings: pl.DataFrame,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = request_file(alice)
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


@pytest.mark.usefixtures("small_parts")
def test_a_worker_that_is_late_changes_nothing(
    alice: Supplier,
    readings: pl.DataFrame,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
) -> None:
    request = request_file(alice)
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


@pytest.mark.usefixtures("readings")
def test_a_step_that_always_fails_makes_its_request_fail_with_the_reason(
    alice: Supplier, exports_folder: Path, settings: Settings, request_file: CreateRequest
) -> None:
    settings.EXPORTS_ATTEMPTS = 3
    request = request_file(alice)
    worker.run_next_step()
    (exports_folder / ".parts").write_text("a file in the place of the folder")
    for _ in range(settings.EXPORTS_ATTEMPTS):
        ExportPart.objects.update(leased_until=None)
        worker.run_next_step()
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert "Not a directory" in request.reason


@pytest.mark.usefixtures("readings")
def test_a_failed_attempt_is_not_retried_at_once(
    alice: Supplier, exports_folder: Path, request_file: CreateRequest
) -> None:
    request = request_file(alice)
    worker.run_next_step()
    (exports_folder / ".parts").write_text("a file in the place of the folder")
    assert worker.run_next_step() == 0
    assert worker.run_next_step() is None
    part = request.parts.get()
    assert (part.state, part.attempts) == (PartState.PENDING, 1)
    assert "Not a directory" in part.error


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("readings")
def test_parts_over_the_time_limit_use_up_their_attempts_and_fail_the_request(
    alice: Supplier,
    settings: Settings,
    request_file: CreateRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeat, "RENEW_SECONDS", 0.05)
    settings.EXPORTS_PART_SECONDS = 0
    settings.EXPORTS_ATTEMPTS = 2
    request = request_file(alice)
    worker.run_next_step()
    was_released = threading.Event()
    release = WritePart.release

    def recorded_release(step: WritePart, error: str) -> bool:
        was_held = release(step, error)
        was_released.set()
        return was_held

    def write_endlessly(*_: object, progress: Callable[[int], None], **__: object) -> None:
        assert was_released.wait(60)
        while True:
            progress(1)

    monkeypatch.setattr(WritePart, "release", recorded_release)
    monkeypatch.setattr(export_file, "write_part", write_endlessly)
    for _ in range(2):
        was_released.clear()
        ExportPart.objects.update(leased_until=None)
        worker.run_next_step()
    connection.close()
    request.refresh_from_db()
    assert (request.status, request.reason) == (Status.FAILED, "The attempt took longer than 0 s.")


@pytest.mark.usefixtures("readings")
def test_a_step_whose_workers_always_die_fails_its_request_with_a_reason(
    alice: Supplier,
    settings: Settings,
    run_steps: Callable[[], None],
    request_file: CreateRequest,
) -> None:
    settings.EXPORTS_ATTEMPTS = 2
    request = request_file(alice)
    worker.run_next_step()
    part = request.parts.get()
    for _ in range(2):
        assert WritePart.claim(part.pk)
        ExportPart.objects.update(leased_until=START)
    assert WritePart.claim(part.pk) is None
    run_steps()
    worker.fail_exhausted()
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert request.reason == "Failed after 2 attempts: the worker process died each time."


def test_a_plan_whose_workers_always_die_fails_its_request_too(
    alice: Supplier, settings: Settings, request_file: CreateRequest
) -> None:
    settings.EXPORTS_ATTEMPTS = 1
    request = request_file(alice)
    assert FileRequest.objects.claim(request.pk)
    FileRequest.objects.update(leased_until=START)
    worker.fail_exhausted()
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert request.reason == "Failed after 1 attempt: the worker process died."


@pytest.mark.usefixtures("readings")
def test_the_last_attempt_is_not_failed_while_it_runs(
    alice: Supplier, settings: Settings, request_file: CreateRequest
) -> None:
    settings.EXPORTS_ATTEMPTS = 1
    request = request_file(alice)
    worker.run_next_step()
    assert WritePart.claim(request.parts.get().pk)
    worker.fail_exhausted()
    request.refresh_from_db()
    assert request.status == Status.SUBMITTED


def test_the_fixture_of_a_completed_request_stores_what_workers_store(
    completed: FileRequest, exported: FileRequest
) -> None:
    assert decompressed_file(completed) == decompressed_file(exported)
    for fixture, by_workers in (
        (completed, exported),
        (completed.parts.get(), exported.parts.get()),
    ):
        for field in fixture._meta.concrete_fields:
            value, expected = (getattr(row, field.name) for row in (fixture, by_workers))
            if field.unique or field.name in {"request", "location", "snapshot", "path"}:
                assert bool(value) == bool(expected), field
            elif isinstance(field, DateTimeField):
                assert (value is None) == (expected is None), field
            else:
                assert value == expected, field


@pytest.mark.usefixtures("readings")
@pytest.mark.parametrize(
    ("error", "traceback"),
    [(OSError(28, "No space left on device"), False), (RuntimeError("a bug"), True)],
)
def test_only_a_bug_has_a_traceback_in_the_log(
    alice: Supplier,
    request_file: CreateRequest,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: Callable[[], list[dict[str, Any]]],
    error: Exception,
    traceback: bool,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    request_file(alice)
    worker.run_next_step()
    monkeypatch.setattr(DiskStore, "put_part", fail)
    worker.run_next_step()
    [line] = [line for line in log_lines() if line["level"] == "ERROR"]
    assert str(error) in line["reason"]
    assert ("exc_info" in line) == traceback


@pytest.mark.usefixtures("readings")
def test_an_attempt_that_fails_after_it_was_given_back_does_not_fail_the_request(
    alice: Supplier, request_file: CreateRequest, settings: Settings
) -> None:
    settings.EXPORTS_ATTEMPTS = 1
    request = request_file(alice)
    worker.run_next_step()
    part = request.parts.get()
    given_back = WritePart.claim(part.pk)
    assert given_back is not None
    given_back.give_back()
    assert WritePart.claim(part.pk) is not None
    given_back.fail("the bucket did not answer")
    request.refresh_from_db()
    assert request.status != Status.FAILED
