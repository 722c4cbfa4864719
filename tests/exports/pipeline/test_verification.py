"""Stored files are compared with their checksums. A damaged file is refused to everybody and reported."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports import tasks
from exports.delivery.audited_file import DAMAGED, Fetcher, open_file
from exports.delivery.dispatch import deliver_next
from exports.delivery.links import download_path
from exports.metrics import DatabaseMetrics
from exports.models import (
    Delivery,
    DeliveryKind,
    FetchWay,
    FileRequest,
    PushTarget,
    Supplier,
)
from exports.pipeline import cleanup, verification
from exports.pipeline.verification import verify_files
from exports.sftp.filesystem import PathNotFoundError, SupplierFilesystem
from exports.stores import FileDamagedError
from exports.stores.disk import DiskStore
from headend.config.service_urls import exports_storage
from tests.suppliers import PUBLIC_KEY, api_client, file_path, store_completed

LogLines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def due(completed: FileRequest) -> FileRequest:
    """A completed request whose file was last verified the day before yesterday."""
    FileRequest.objects.update(verified_at=timezone.now() - timedelta(days=2))
    return completed


def change_a_byte(request: FileRequest) -> bytes:
    """Change one byte of the stored file, and return the bytes that it had."""
    file = file_path(request.location)
    content = file.read_bytes()
    file.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    return content


@pytest.fixture
def damaged(due: FileRequest) -> FileRequest:
    """A completed request whose file was found to be damaged."""
    change_a_byte(due)
    assert verify_files() == 1
    due.refresh_from_db()
    return due


def test_a_good_file_is_verified_once_a_night(due: FileRequest) -> None:
    assert [verify_files(), verify_files()] == [1, 0]
    due.refresh_from_db()
    assert due.verified_at is not None
    assert (due.has_file, due.damage) == (True, "")


def test_a_new_file_is_first_verified_in_the_next_night(completed: FileRequest) -> None:
    FileRequest.objects.update(finished_at=timezone.now())
    assert verify_files() == 0
    FileRequest.objects.update(finished_at=timezone.now() - timedelta(days=1))
    assert verify_files() == 1


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: file.unlink(), "The file is missing in the export store."),
        (lambda file: file.write_bytes(b"short"), "The file has 5 bytes instead of"),
        (
            lambda file: file.write_bytes(bytes(file.stat().st_size)),
            "The file does not have the checksum with which it was published.",
        ),
    ],
    ids=["missing", "short", "changed"],
)
def test_a_damaged_file_is_one_error_in_the_log(
    due: FileRequest, damage: Callable[[Path], None], reason: str, log_lines: LogLines
) -> None:
    damage(file_path(due.location))
    verify_files()
    verify_files()
    due.refresh_from_db()
    assert due.is_file_damaged
    assert due.damage.startswith(reason)
    [line] = [line for line in log_lines() if line["message"] == "a stored file is damaged"]
    assert (line["level"], line["request"], line["damage"]) == ("ERROR", str(due.pk), due.damage)


def test_nobody_can_fetch_a_damaged_file(
    damaged: FileRequest, alice: Supplier, operator: Client
) -> None:
    with pytest.raises(FileDamagedError):
        open_file(damaged)
    files = SupplierFilesystem(alice.pk)
    assert files.entries("/") == []
    with pytest.raises(PathNotFoundError):
        files.open(damaged.location, Fetcher(FetchWay.SFTP, "key", "127.0.0.1"))
    answer = operator.get(download_path(damaged))
    assert (answer.status_code, answer.json()) == (404, {"error": DAMAGED})
    status = api_client(alice).get("/readings/file", {"request_id": str(damaged.pk)}).json()
    assert (status["status"], status["reason"]) == ("completed", DAMAGED)
    assert {"sftp_location", "download_url"}.isdisjoint(status)


def test_a_damaged_file_is_not_pushed(damaged: FileRequest, alice: Supplier) -> None:
    PushTarget.objects.create(
        supplier=alice, host="127.0.0.1", port=1, user="u", host_key=PUBLIC_KEY
    )
    delivery = Delivery.objects.create(request=damaged, kind=DeliveryKind.PUSH)
    assert deliver_next()
    assert delivery.attempt_log.get().outcome == DAMAGED


def test_operators_see_a_damaged_file_and_can_request_it_again(
    damaged: FileRequest, operator: Client
) -> None:
    assert "1 stored file is damaged and cannot be fetched." in operator.get("/").content.decode()
    page = operator.get(f"/requests/{damaged.pk}/").content.decode()
    assert damaged.damage in page
    assert "Request again" in page
    assert download_path(damaged) not in page


def test_a_damaged_file_is_kept_and_available_again_when_it_is_restored(
    due: FileRequest, log_lines: LogLines
) -> None:
    content = change_a_byte(due)
    verify_files()
    cleanup.remove_leftovers_if_final(due.pk)
    file_path(due.location).write_bytes(content)
    verify_files()
    due.refresh_from_db()
    assert (due.has_file, due.damage) == (True, "")
    with open_file(due) as file:
        assert file.read() == content
    assert "a damaged file was restored" in [line["message"] for line in log_lines()]


def test_a_damaged_file_expires_as_every_other(damaged: FileRequest) -> None:
    FileRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert cleanup.expire_files(by_age=True) == 1
    assert not file_path(damaged.location).exists()


def test_the_metric_counts_damaged_files(damaged: FileRequest, client: Client) -> None:
    found = {metric.name: metric for metric in DatabaseMetrics().collect()}
    assert [sample.value for sample in found["headend_damaged_files"].samples] == [1]


def test_a_run_ends_after_its_time_and_the_next_one_continues(
    due: FileRequest, alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = store_completed(alice)
    FileRequest.objects.filter(pk=other.pk).update(verified_at=timezone.now() - timedelta(days=3))
    now = iter(range(0, 10_000, 150))
    monkeypatch.setattr("exports.pipeline.verification.monotonic", lambda: next(now))
    monkeypatch.setattr("exports.pipeline.verification.sleep", lambda seconds: None)
    assert [verify_files(), verify_files()] == [1, 1]


def test_damaged_files_are_verified_first_but_not_for_the_whole_run(
    due: FileRequest, alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = [store_completed(alice).pk for _ in range(3)]
    now = timezone.now()
    for hours, pk in enumerate(damaged, 1):
        at = now - timedelta(hours=hours)
        FileRequest.objects.filter(pk=pk).update(damaged_at=at, verified_at=at)
    verified: list[object] = []
    monkeypatch.setattr(verification, "_verify", lambda request: verified.append(request.pk))
    monkeypatch.setattr(verification, "monotonic", iter((0, 0, 59, 60, 239, 240)).__next__)
    verify_files()
    assert verified == [damaged[2], damaged[1], due.pk]


def test_reading_is_limited_in_rate(due: FileRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("exports.pipeline.verification.sleep", slept.append)
    monkeypatch.setattr("exports.pipeline.verification.monotonic", lambda: 0.0)
    monkeypatch.setattr(verification, "MAX_BYTES_PER_SECOND", 1000)
    verify_files()
    assert due.size is not None
    assert slept == [due.size / 1000]


def test_a_file_that_the_disk_cannot_read_is_damaged_and_the_next_one_is_verified(
    due: FileRequest, alice: Supplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = store_completed(alice)
    FileRequest.objects.filter(pk=other.pk).update(verified_at=timezone.now() - timedelta(days=1))
    open_stored = DiskStore.open

    def fail(self: DiskStore, location: str, size: int) -> IO[bytes]:
        if location == due.location:
            raise OSError(errno.EIO, "Input/output error")
        return open_stored(self, location, size)

    monkeypatch.setattr(DiskStore, "open", fail)
    assert verify_files() == 2
    due.refresh_from_db()
    other.refresh_from_db()
    assert due.damage == "The file cannot be read: Input/output error."
    assert other.has_file


def test_a_store_that_cannot_be_used_damages_no_file(
    due: FileRequest, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": exports_storage(f"file://{tmp_path}/file/exports"),
    }
    tasks.verify()
    due.refresh_from_db()
    assert due.has_file
