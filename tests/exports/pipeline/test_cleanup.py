"""Leftovers of final requests are deleted, and expired files are withdrawn and deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exports import file_requests
from exports.file_requests import FileSpec
from exports.models import FileRequest, MeterList, PartState, Status, Supplier
from exports.pipeline import cleanup, transitions, worker
from exports.stores.disk import DiskStore
from exports.tasks import expire, tidy
from tests.exports.pipeline.conftest import CreateRequest
from tests.suppliers import END, START, file_path


def files_in(folder: Path) -> list[Path]:
    """Return the files in a folder and its subfolders."""
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("readings", "part_per_interval")
def test_cancelling_a_request_deletes_the_parts_that_were_written(
    alice: Supplier, exports_folder: Path, request_file: CreateRequest
) -> None:
    request = request_file(alice)
    for _ in range(3):
        worker.run_next_step()
    assert request.parts.filter(state=PartState.WRITTEN).count() == 2
    assert file_requests.cancel(request)
    cleanup.remove_leftovers()
    assert files_in(exports_folder) == []
    assert not file_requests.cancel(request)


@pytest.mark.usefixtures("small_parts", "readings")
def test_a_cancelled_request_is_not_continued_and_leaves_nothing(
    alice: Supplier,
    run_steps: Callable[[], None],
    exports_folder: Path,
    request_file: CreateRequest,
) -> None:
    request = request_file(alice)
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
def test_the_parts_of_an_active_request_are_not_deleted(
    alice: Supplier, exports_folder: Path, request_file: CreateRequest
) -> None:
    request_file(alice)
    for _ in range(2):
        worker.run_next_step()
    parts = files_in(exports_folder)
    assert len(parts) == 1
    cleanup.remove_leftovers()
    assert files_in(exports_folder) == parts


@pytest.fixture
def expired(completed: FileRequest) -> FileRequest:
    """A completed request whose retention time is over."""
    FileRequest.objects.filter(pk=completed.pk).update(expires_at=START)
    completed.refresh_from_db()
    return completed


def test_an_expired_file_is_deleted_and_its_request_stays_completed(expired: FileRequest) -> None:
    assert cleanup.expire_files(by_age=True) == 1
    assert not file_path(expired.location).exists()
    expired.refresh_from_db()
    assert expired.status == Status.COMPLETED
    assert expired.expired_at is not None
    assert not expired.has_file
    assert cleanup.expire_files(by_age=True) == 0


def test_a_file_that_cannot_be_deleted_is_withdrawn_and_deleted_later(
    expired: FileRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("read-only")

    with monkeypatch.context() as broken:
        broken.setattr(DiskStore, "delete_files", refuse)
        assert cleanup.expire_files(by_age=True) == 0
    expired.refresh_from_db()
    assert not expired.has_file
    assert file_path(expired.location).exists()
    assert cleanup.expire_files(by_age=True) == 1
    assert not file_path(expired.location).exists()


def test_leftovers_that_cannot_be_deleted_are_one_line_in_the_log(
    expired: FileRequest,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(DiskStore, "delete_files", refuse)
    assert cleanup.expire_files(by_age=True) == 0
    monkeypatch.setattr(DiskStore, "unfinished_requests", refuse)
    tidy()
    lines = [line for line in log_lines() if line["level"] == "ERROR"]
    assert [line["message"] for line in lines] == [
        "an expired file is not removed",
        "leftovers are not removed yet",
    ]
    assert not any("exc_info" in line for line in lines)


def test_a_list_of_meters_is_deleted_with_the_last_request_that_names_it(alice: Supplier) -> None:
    first, second = (
        file_requests.accept(alice, FileSpec(START, END, device_ids=("a", "b"))) for _ in range(2)
    )
    first.delete()
    expire()
    assert second.meter_list is not None
    assert list(MeterList.objects.all()) == [second.meter_list]
    second.delete()
    expire()
    assert not MeterList.objects.exists()


def test_a_list_that_is_deleted_while_a_request_is_accepted_is_stored_again(
    alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_or_create = MeterList.objects.get_or_create
    results = iter([(MeterList(pk=10**6, sha256="deleted"), False)])
    monkeypatch.setattr(
        MeterList.objects,
        "get_or_create",
        lambda **values: next(results, None) or get_or_create(**values),
    )
    request = file_requests.accept(alice, FileSpec(START, END, device_ids=("a",)))
    assert request.meter_list == MeterList.objects.get(device_ids="a")
