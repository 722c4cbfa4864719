"""Stored files are compared with their sizes and checksums, by one worker at a time."""

from __future__ import annotations

import errno
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from exports import tasks
from exports.leases.heartbeat import Heartbeat, LeaseLostError
from exports.models import (
    FileRequest,
    FileVerification,
    Supplier,
)
from exports.pipeline import verification
from exports.pipeline.verification import VerificationRun, verify_files
from exports.stores.disk import DiskStore
from exports.stores.s3 import S3Store
from headend.config.service_urls import exports_storage
from tests.exports.pipeline.conftest import change_a_byte, end_the_pauses, metric
from tests.suppliers import file_path, store_completed

LogLines = Callable[[], list[dict[str, Any]]]


class FakeClock:
    """A clock that moves only by :meth:`sleep`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock that verification uses."""
    clock = FakeClock()
    monkeypatch.setattr(verification, "monotonic", clock)
    monkeypatch.setattr(verification, "sleep", clock.sleep)
    return clock


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
    end_the_pauses()
    assert verify_files() == 1
    due.refresh_from_db()
    assert due.is_file_damaged
    assert due.damage.startswith(reason)
    [line] = [line for line in log_lines() if line["message"] == "a stored file is damaged"]
    assert (line["level"], line["request"], line["damage"]) == ("ERROR", str(due.pk), due.damage)


def store_due(supplier: Supplier, *, days: int) -> FileRequest:
    """Store a completed request whose file was last verified so many days ago."""
    request = store_completed(supplier)
    request.verified_at = timezone.now() - timedelta(days=days)
    request.save()
    return request


def test_a_run_ends_after_its_time_and_the_next_one_continues(
    due: FileRequest, alice: Supplier, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_due(alice, days=3)
    monkeypatch.setattr(verification, "MAX_BYTES_PER_SECOND", (due.size or 0) / 239)
    assert [verify_files(), verify_files(), verify_files()] == [1, 1, 0]


def test_a_file_that_takes_longer_than_a_run_is_verified_first_and_alone_in_its_run(
    due: FileRequest, alice: Supplier, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = store_due(alice, days=3)
    monkeypatch.setattr(verification, "MAX_BYTES_PER_SECOND", (due.size or 0) / 9000)
    monkeypatch.setattr(verification, "MIN_BYTES_PER_SECOND", (due.size or 0) / 10_000)
    assert verify_files() == 1
    assert clock.seconds == pytest.approx(9000)
    due.refresh_from_db()
    large.refresh_from_db()
    assert large.verified_at is not None
    assert due.verified_at is not None
    assert large.verified_at - due.verified_at > timedelta(days=1)


def test_damaged_files_are_verified_first_but_not_for_the_whole_run(
    due: FileRequest, alice: Supplier, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = [store_completed(alice).pk for _ in range(3)]
    now = timezone.now()
    for hours, pk in enumerate(damaged, 1):
        at = now - timedelta(hours=hours)
        FileRequest.objects.filter(pk=pk).update(damaged_at=at, verified_at=at)
    verified: list[object] = []

    def verify(request: FileRequest, lease: object, check: object) -> None:
        verified.append(request.pk)
        clock.sleep(30)

    monkeypatch.setattr(verification, "_verify", verify)
    verify_files()
    assert verified == [damaged[2], damaged[1], due.pk]


def test_only_one_run_at_a_time_verifies_files(due: FileRequest) -> None:
    other = VerificationRun.claim()
    assert other is not None
    assert VerificationRun.claim() is None
    assert verify_files() == 0
    FileVerification.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert verify_files() == 1
    assert FileVerification.objects.get().lease is None


def test_a_run_ends_when_another_worker_has_taken_its_lease(
    due: FileRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(self: Heartbeat) -> None:
        raise LeaseLostError

    change_a_byte(due)
    monkeypatch.setattr(Heartbeat, "check", lose)
    assert verify_files() == 0
    due.refresh_from_db()
    assert (due.has_file, due.verify_after) == (True, None)


@pytest.mark.parametrize("damage", ["The file is missing.", "", None])
def test_a_run_that_has_lost_its_lease_while_it_read_a_file_records_nothing(
    due: FileRequest, damage: str | None, monkeypatch: pytest.MonkeyPatch, log_lines: LogLines
) -> None:
    def read_slowly(*_: object) -> str:
        FileVerification.objects.update(lease=uuid.uuid4())
        if damage is None:
            raise OSError(errno.EIO, "Input/output error")
        return damage

    monkeypatch.setattr(verification, "_damage", read_slowly)
    due.refresh_from_db()
    before = (due.damaged_at, due.damage, due.verified_at, due.verify_after)
    verify_files()
    due.refresh_from_db()
    assert (due.damaged_at, due.damage, due.verified_at, due.verify_after) == before
    assert [line for line in log_lines() if line["level"] == "ERROR"] == []


def test_reading_is_limited_in_rate(
    due: FileRequest, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MAX_BYTES_PER_SECOND", 1000)
    verify_files()
    assert due.size is not None
    assert clock.seconds == due.size / 1000


def test_a_file_that_cannot_be_read_is_not_damaged_and_the_next_one_is_verified(
    due: FileRequest,
    alice: Supplier,
    monkeypatch: pytest.MonkeyPatch,
    operator: Client,
    log_lines: LogLines,
) -> None:
    other = store_due(alice, days=1)
    open_stored = DiskStore.open

    def fail(self: DiskStore, location: str, size: int) -> IO[bytes]:
        if location == due.location:
            raise OSError(errno.EIO, "Input/output error")
        return open_stored(self, location, size)

    with monkeypatch.context() as patch:
        patch.setattr(DiskStore, "open", fail)
        assert [verify_files(), verify_files()] == [2, 0]
    due.refresh_from_db()
    other.refresh_from_db()
    assert (due.has_file, due.is_file_unreadable, due.damage) == (True, True, "")
    assert (other.has_file, other.is_file_unreadable) == (True, False)
    [line] = [line for line in log_lines() if line["level"] == "ERROR"]
    assert (line["request"], line["error"]) == (str(due.pk), "[Errno 5] Input/output error")
    assert "1 stored file could not be read" in operator.get("/").content.decode()
    assert "could not be read" in operator.get(f"/requests/{due.pk}/").content.decode()
    assert metric("headend_unreadable_files") == 1

    end_the_pauses()
    tasks.verify_again()
    assert metric("headend_unreadable_files") == 0


def test_a_file_that_is_read_too_slowly_is_verified_again_later(
    due: FileRequest, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "MAX_BYTES_PER_SECOND", 0.001)
    monkeypatch.setattr(verification, "_BLOCK_BYTES", (due.size or 0) // 2)
    assert verify_files() == 1
    due.refresh_from_db()
    assert due.is_file_unreadable


class Bucket:
    """A client of a bucket whose calls raise an error."""

    def __init__(self, error: Exception, *, exists: bool = True) -> None:
        self._error = error
        self._exists = exists

    def head_object(self, **_: Any) -> Any:
        """Raise the error."""
        raise self._error

    def head_bucket(self, **_: Any) -> None:
        """Raise the error if the bucket does not exist."""
        if not self._exists:
            raise self._error


def answer(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said the bucket"}}, "HeadObject")


UNREACHABLE = EndpointConnectionError(endpoint_url="https://bucket.example")


@pytest.mark.parametrize(
    ("bucket", "damage", "is_unreadable"),
    [
        (Bucket(answer("404")), "The file is missing in the export store.", False),
        (Bucket(answer("404"), exists=False), "", False),
        (Bucket(answer("500")), "", True),
        (Bucket(answer("403")), "", True),
        (Bucket(UNREACHABLE), "", True),
        (Bucket(UNREACHABLE, exists=False), "", False),
        (Bucket(ReadTimeoutError(endpoint_url="https://bucket.example")), "", True),
    ],
    ids=["missing", "no bucket", "error 500", "error 403", "cut", "unreachable", "timeout"],
)
def test_only_a_missing_object_of_a_bucket_is_a_damaged_file(
    bucket: Bucket,
    damage: str,
    is_unreadable: bool,
    due: FileRequest,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: LogLines,
) -> None:
    storage: Any = SimpleNamespace(bucket_name="bucket", location="")
    store = S3Store(storage)
    store._client = bucket
    monkeypatch.setattr(verification, "export_store", lambda: store)
    tasks.verify()
    due.refresh_from_db()
    assert (due.damage, due.is_file_unreadable) == (damage, is_unreadable)
    assert [line for line in log_lines() if "exc_info" in line] == []
    assert FileVerification.objects.get().lease is None


def test_a_damaged_file_is_verified_again_by_day(damaged: FileRequest, alice: Supplier) -> None:
    other = store_due(alice, days=3)
    assert damaged.verify_after is not None
    assert timedelta(minutes=20) < damaged.verify_after - timezone.now() < timedelta(hours=1)
    tasks.verify_again()
    assert FileRequest.objects.get(pk=damaged.pk).verified_at == damaged.verified_at
    end_the_pauses()
    tasks.verify_again()
    assert FileRequest.objects.get(pk=damaged.pk).verified_at != damaged.verified_at
    assert FileRequest.objects.filter(pk=other.pk, verified_at=other.verified_at).exists()


@pytest.mark.parametrize(
    ("size", "pause"),
    [
        (1, timedelta(minutes=30)),
        (1_800_000_000, timedelta(minutes=30)),
        (10_000_000_000, timedelta(seconds=10_000)),
        (1_000_000_000_000, timedelta(days=1)),
    ],
)
def test_a_large_damaged_file_is_verified_less_often(
    damaged: FileRequest, size: int, pause: timedelta
) -> None:
    FileRequest.objects.update(size=size)
    end_the_pauses()
    assert [verify_files(), verify_files()] == [1, 0]
    damaged.refresh_from_db()
    assert damaged.verify_after is not None
    assert damaged.verified_at is not None
    assert damaged.verify_after - damaged.verified_at == pause


def test_times_of_a_clock_that_was_ahead_do_not_count(damaged: FileRequest) -> None:
    ahead = timezone.now() + timedelta(days=3650)
    FileRequest.objects.update(verify_after=ahead)
    assert verify_files() == 1
    FileRequest.objects.update(damaged_at=None, verify_after=None, verified_at=ahead)
    assert verify_files() == 1


def test_a_store_that_cannot_be_used_damages_no_file(
    due: FileRequest, settings: Settings, tmp_path: Path, log_lines: LogLines
) -> None:
    verified_at = FileRequest.objects.get().verified_at
    (tmp_path / "file").write_text("no folder")
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": exports_storage(f"file://{tmp_path}/file/exports"),
    }
    tasks.verify()
    due.refresh_from_db()
    assert (due.has_file, due.verify_after, due.verified_at) == (True, None, verified_at)
    [line] = log_lines()
    assert line["message"] == "a task ends early; it runs again at its next time"
    assert (line["level"], line["task"]) == ("ERROR", "verify")
    assert "Not a directory" in line["error"]
