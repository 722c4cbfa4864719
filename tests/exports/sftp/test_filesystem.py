"""A supplier's home as SFTP shows it, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from exports.file_requests import Order, accept
from exports.models import FileRequest, Status, Supplier
from exports.sftp.filesystem import Home, NotAFileError, NothingThereError, canonical
from tests.suppliers import END, START, path_of


def test_a_home_shows_completed_requests_and_their_files(
    alice: Supplier, completed: FileRequest
) -> None:
    home = Home(alice.pk)
    [folder] = home.entries("/")
    [file] = home.entries(str(completed.pk))
    assert (folder.name, folder.is_folder) == (str(completed.pk), True)
    assert (f"{folder.name}/{file.name}", file.size) == (completed.location, completed.size)
    assert file.modified == completed.finished_at
    _, opened = home.open(completed.location)
    with opened:
        assert opened.read() == path_of(completed.location).read_bytes()


def test_an_empty_home_is_a_home(alice: Supplier) -> None:
    assert Home(alice.pk).entries("/") == []
    assert Home(alice.pk).entry("/").is_folder


def test_what_is_not_completed_is_not_there(
    alice: Supplier, readings: object, exports_folder: Path
) -> None:
    request = accept(alice, Order(START, END))
    (exports_folder / str(request.pk)).mkdir()
    (exports_folder / str(request.pk) / "run-1-part-r-00000.gz").write_text("half")
    assert Home(alice.pk).entries("/") == []
    with pytest.raises(NothingThereError):
        Home(alice.pk).open(f"{request.pk}/run-1-part-r-00000.gz")


def test_another_suppliers_request_is_not_there(bob: Supplier, completed: FileRequest) -> None:
    home = Home(bob.pk)
    assert home.entries("/") == []
    for look in (home.entry, home.entries, home.open):
        for path in (str(completed.pk), completed.location):
            with pytest.raises(NothingThereError):
                look(path)


def test_an_expired_file_is_not_there(alice: Supplier, completed: FileRequest) -> None:
    FileRequest.objects.update(expired_at=timezone.now())
    assert Home(alice.pk).entries("/") == []
    with pytest.raises(NothingThereError):
        Home(alice.pk).open(completed.location)


def test_a_supplier_that_was_deactivated_sees_nothing(
    alice: Supplier, completed: FileRequest
) -> None:
    home = Home(alice.pk)
    Supplier.objects.update(active=False)
    for look in (home.entry, home.entries, home.open):
        with pytest.raises(NothingThereError):
            look(completed.location)


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_planted_link_leads_nowhere(
    alice: Supplier, completed: FileRequest, tmp_path: Path, target: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    path = path_of(completed.location)
    (outside / path.name).write_text("secret")
    path.unlink()
    if target == "file":
        path.symlink_to(outside / path.name)
    else:
        path.parent.rmdir()
        path.parent.symlink_to(outside)
    with pytest.raises(NothingThereError):
        Home(alice.pk).open(completed.location)


def test_a_file_that_was_removed_is_not_there(alice: Supplier, completed: FileRequest) -> None:
    path_of(completed.location).unlink()
    with pytest.raises(NothingThereError):
        Home(alice.pk).open(completed.location)


def test_folders_are_not_opened_and_files_not_listed(
    alice: Supplier, completed: FileRequest
) -> None:
    home = Home(alice.pk)
    with pytest.raises(NotAFileError):
        home.open(str(completed.pk))
    with pytest.raises(NotAFileError):
        home.open("/")
    with pytest.raises(NotAFileError):
        home.entries(completed.location)


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
def test_no_path_names_anything_above_the_home(path: str, inside: str) -> None:
    assert canonical(path) == inside


def test_a_request_that_failed_has_no_folder(alice: Supplier) -> None:
    FileRequest.objects.create(
        supplier=alice, start=START, end=END, status=Status.FAILED, finished_at=END
    )
    assert Home(alice.pk).entries("/") == []
