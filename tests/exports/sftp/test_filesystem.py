"""A supplier's virtual filesystem, without a network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from exports.delivery.audited_file import Fetcher
from exports.file_requests import FileSpec, accept
from exports.models import FetchWay, FileRequest, Status, Supplier
from exports.sftp import filesystem as filesystem_module
from exports.sftp.filesystem import (
    Entry,
    PathNotFoundError,
    SupplierFilesystem,
    WrongFileTypeError,
    canonical,
)
from tests.suppliers import END, START, file_path

FETCHER = Fetcher(FetchWay.SFTP, "SHA256:x", "192.0.2.1")


def operations(filesystem: SupplierFilesystem) -> list[Callable[[str], object]]:
    """All operations that take a path."""
    return [filesystem.entry, filesystem.list_folder, lambda path: filesystem.open(path, FETCHER)]


def test_completed_requests_and_their_files_are_listed(
    alice: Supplier, completed: FileRequest
) -> None:
    filesystem = SupplierFilesystem(alice.pk)
    [folder] = filesystem.list_folder("/").next_block()
    [file] = filesystem.list_folder(str(completed.pk)).next_block()
    assert (folder.name, folder.is_folder) == (str(completed.pk), True)
    assert (f"{folder.name}/{file.name}", file.size) == (completed.location, completed.size)
    assert file.modified == completed.finished_at


def test_a_file_is_read_completely(alice: Supplier, completed: FileRequest) -> None:
    file = SupplierFilesystem(alice.pk).open(completed.location, FETCHER)
    assert (file.request, file.size) == (completed, completed.size)
    assert file.read(file.size + 1) == file_path(completed.location).read_bytes()
    file.close()


def test_the_root_exists_without_any_file(alice: Supplier) -> None:
    assert SupplierFilesystem(alice.pk).list_folder("/").next_block() == []
    assert SupplierFilesystem(alice.pk).entry("/").is_folder


def test_files_of_a_request_that_is_not_completed_are_hidden(
    alice: Supplier, readings: object, exports_folder: Path
) -> None:
    request = accept(alice, FileSpec(START, END))
    (exports_folder / str(request.pk)).mkdir()
    (exports_folder / str(request.pk) / "run-1-part-r-00000.gz").write_text("half")
    assert SupplierFilesystem(alice.pk).list_folder("/").next_block() == []
    with pytest.raises(PathNotFoundError):
        SupplierFilesystem(alice.pk).open(f"{request.pk}/run-1-part-r-00000.gz", FETCHER)


def test_files_of_another_supplier_are_hidden(bob: Supplier, completed: FileRequest) -> None:
    filesystem = SupplierFilesystem(bob.pk)
    assert filesystem.list_folder("/").next_block() == []
    for operation in operations(filesystem):
        for path in (str(completed.pk), completed.location):
            with pytest.raises(PathNotFoundError):
                operation(path)


def create_completed(supplier: Supplier) -> FileRequest:
    """Create a completed request without a file."""
    return FileRequest.objects.create(
        supplier=supplier, start=START, end=END, status=Status.COMPLETED, finished_at=END,
        location="x", sha256="x", size=1, record_count=1,
    )  # fmt: skip


@pytest.fixture
def ten_requests(alice: Supplier, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders of ten completed requests, the newest first. A block of a listing has four entries."""
    monkeypatch.setattr(filesystem_module, "BLOCK_ENTRIES", 4)
    requests = [create_completed(alice) for _ in range(10)]
    # Some have the same time, also the last one of a block and the first one of the next.
    for number, request in enumerate(requests):
        request.queued_at = END - timedelta(hours=number // 3)
        request.save(update_fields=["queued_at"])
    requests.sort(key=lambda request: (request.queued_at, request.pk), reverse=True)
    return [str(request.pk) for request in requests]


def names(entries: list[Entry]) -> list[str]:
    return [entry.name for entry in entries]


def test_a_long_listing_is_read_in_blocks_and_contains_each_entry_once(
    alice: Supplier, ten_requests: list[str]
) -> None:
    listing = SupplierFilesystem(alice.pk).list_folder("/")
    blocks = [names(listing.next_block()) for _ in range(4)]
    assert blocks == [ten_requests[:4], ten_requests[4:8], ten_requests[8:], []]


def test_a_listing_continues_if_its_last_entry_expires_and_another_file_is_completed(
    alice: Supplier, ten_requests: list[str]
) -> None:
    listing = SupplierFilesystem(alice.pk).list_folder("/")
    assert names(listing.next_block()) == ten_requests[:4]
    FileRequest.objects.filter(pk=ten_requests[3]).update(expired_at=timezone.now())
    create_completed(alice)
    assert [names(listing.next_block()) for _ in range(3)] == [
        ten_requests[4:8],
        ten_requests[8:],
        [],
    ]


def test_a_file_that_is_completed_during_a_listing_is_listed_if_its_request_is_older(
    alice: Supplier, ten_requests: list[str]
) -> None:
    older, newer = create_completed(alice), create_completed(alice)
    for request, queued_at in ((older, END - timedelta(days=1)), (newer, END + timedelta(days=1))):
        FileRequest.objects.filter(pk=request.pk).update(queued_at=queued_at, status=Status.RUNNING)
    listing = SupplierFilesystem(alice.pk).list_folder("/")
    assert names(listing.next_block()) == ten_requests[:4]
    FileRequest.objects.update(status=Status.COMPLETED)
    assert [names(listing.next_block()) for _ in range(3)] == [
        ten_requests[4:8],
        [*ten_requests[8:], str(older.pk)],
        [],
    ]


def test_a_listing_ends_when_the_supplier_is_deactivated(
    alice: Supplier, ten_requests: list[str]
) -> None:
    listing = SupplierFilesystem(alice.pk).list_folder("/")
    assert names(listing.next_block()) == ten_requests[:4]
    Supplier.objects.update(active=False)
    with pytest.raises(PathNotFoundError):
        listing.next_block()


def test_an_expired_file_is_hidden(alice: Supplier, completed: FileRequest) -> None:
    FileRequest.objects.update(expired_at=timezone.now())
    assert SupplierFilesystem(alice.pk).list_folder("/").next_block() == []
    with pytest.raises(PathNotFoundError):
        SupplierFilesystem(alice.pk).open(completed.location, FETCHER)


def test_a_deactivated_supplier_sees_nothing(alice: Supplier, completed: FileRequest) -> None:
    filesystem = SupplierFilesystem(alice.pk)
    Supplier.objects.update(active=False)
    for operation in operations(filesystem):
        with pytest.raises(PathNotFoundError):
            operation(completed.location)


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_symbolic_link_out_of_the_export_store_is_not_followed(
    alice: Supplier, completed: FileRequest, tmp_path: Path, target: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    path = file_path(completed.location)
    (outside / path.name).write_text("secret")
    path.unlink()
    if target == "file":
        path.symlink_to(outside / path.name)
    else:
        path.parent.rmdir()
        path.parent.symlink_to(outside)
    with pytest.raises(PathNotFoundError):
        SupplierFilesystem(alice.pk).open(completed.location, FETCHER)


def test_a_file_that_was_deleted_from_the_store_is_not_found(
    alice: Supplier, completed: FileRequest
) -> None:
    file_path(completed.location).unlink()
    with pytest.raises(PathNotFoundError):
        SupplierFilesystem(alice.pk).open(completed.location, FETCHER)


def test_folders_are_not_opened_and_files_are_not_listed(
    alice: Supplier, completed: FileRequest
) -> None:
    filesystem = SupplierFilesystem(alice.pk)
    with pytest.raises(WrongFileTypeError):
        filesystem.open(str(completed.pk), FETCHER)
    with pytest.raises(WrongFileTypeError):
        filesystem.open("/", FETCHER)
    with pytest.raises(WrongFileTypeError):
        filesystem.list_folder(completed.location)


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("", "/"),
        (".", "/"),
        ("..", "/"),
        ("/../../etc", "/etc"),
        ("a/../b", "/b"),
        ("//a//b", "/a/b"),
        ("a/./b/", "/a/b"),
    ],
)
def test_no_path_leads_above_the_root(path: str, inside: str) -> None:
    assert canonical(path) == inside


def test_a_failed_request_has_no_folder(alice: Supplier) -> None:
    FileRequest.objects.create(
        supplier=alice, start=START, end=END, status=Status.FAILED, finished_at=END
    )
    assert SupplierFilesystem(alice.pk).list_folder("/").next_block() == []
