"""A supplier's virtual filesystem, without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone

from exports.delivery.audited_file import Fetcher
from exports.file_requests import FileSpec, accept
from exports.models import FetchWay, FileRequest, Status, Supplier
from exports.sftp.filesystem import (
    PathNotFoundError,
    SupplierFilesystem,
    WrongFileTypeError,
    canonical,
)
from tests.suppliers import END, START, file_path

FETCHER = Fetcher(FetchWay.SFTP, "SHA256:x", "192.0.2.1")


def operations(filesystem: SupplierFilesystem) -> list[Callable[[str], object]]:
    """All operations that take a path."""
    return [filesystem.entry, filesystem.entries, lambda path: filesystem.open(path, FETCHER)]


def test_completed_requests_and_their_files_are_listed(
    alice: Supplier, completed: FileRequest
) -> None:
    filesystem = SupplierFilesystem(alice.pk)
    [folder] = filesystem.entries("/")
    [file] = filesystem.entries(str(completed.pk))
    assert (folder.name, folder.is_folder) == (str(completed.pk), True)
    assert (f"{folder.name}/{file.name}", file.size) == (completed.location, completed.size)
    assert file.modified == completed.finished_at


def test_a_file_is_read_completely(alice: Supplier, completed: FileRequest) -> None:
    file = SupplierFilesystem(alice.pk).open(completed.location, FETCHER)
    assert (file.request, file.size) == (completed, completed.size)
    assert file.read(file.size + 1) == file_path(completed.location).read_bytes()
    file.close()


def test_the_root_exists_without_any_file(alice: Supplier) -> None:
    assert SupplierFilesystem(alice.pk).entries("/") == []
    assert SupplierFilesystem(alice.pk).entry("/").is_folder


def test_files_of_a_request_that_is_not_completed_are_hidden(
    alice: Supplier, readings: object, exports_folder: Path
) -> None:
    request = accept(alice, FileSpec(START, END))
    (exports_folder / str(request.pk)).mkdir()
    (exports_folder / str(request.pk) / "run-1-part-r-00000.gz").write_text("half")
    assert SupplierFilesystem(alice.pk).entries("/") == []
    with pytest.raises(PathNotFoundError):
        SupplierFilesystem(alice.pk).open(f"{request.pk}/run-1-part-r-00000.gz", FETCHER)


def test_files_of_another_supplier_are_hidden(bob: Supplier, completed: FileRequest) -> None:
    filesystem = SupplierFilesystem(bob.pk)
    assert filesystem.entries("/") == []
    for operation in operations(filesystem):
        for path in (str(completed.pk), completed.location):
            with pytest.raises(PathNotFoundError):
                operation(path)


def test_an_expired_file_is_hidden(alice: Supplier, completed: FileRequest) -> None:
    FileRequest.objects.update(expired_at=timezone.now())
    assert SupplierFilesystem(alice.pk).entries("/") == []
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
        filesystem.entries(completed.location)


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
    assert SupplierFilesystem(alice.pk).entries("/") == []
