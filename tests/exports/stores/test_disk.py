"""The export store in a folder: files of other programs in it are ignored."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage

from exports.stores.base import FileMissingError
from exports.stores.disk import DiskStore

REQUEST = uuid.UUID("00000000-0000-0000-0000-000000000001")


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    """An export store with a part of one request."""
    store = DiskStore(FileSystemStorage(location=tmp_path))
    store.put_part(f"{REQUEST}/00000-1", [b"part"])
    return store


def test_the_size_of_a_file_is_that_on_the_disk(store: DiskStore, tmp_path: Path) -> None:
    folder = tmp_path / str(REQUEST)
    folder.mkdir()
    (folder / "file.gz").write_bytes(b"12345")
    assert store.size(f"{REQUEST}/file.gz") == 5
    (folder / "folder").mkdir()
    (folder / "link.gz").symlink_to(folder / "file.gz")
    for missing in ("other.gz", "folder", "link.gz", "file.gz/other.gz"):
        with pytest.raises(FileMissingError):
            store.size(f"{REQUEST}/{missing}")


def test_a_file_is_joined_in_order_and_each_of_its_blocks_is_checked(
    store: DiskStore, tmp_path: Path
) -> None:
    parts = [store.put_part(f"{REQUEST}/{number}", [b"%d " % number] * 3) for number in range(20)]
    blocks: list[bytes] = []
    store.join(f"{REQUEST}/file", [b"first ", *parts, b"last"], attempt="1", on_block=blocks.append)
    expected = b"first " + b"".join(b"%d " % number * 3 for number in range(20)) + b"last"
    assert (tmp_path / str(REQUEST) / "file").read_bytes() == b"".join(blocks) == expected


def test_a_join_that_is_cancelled_leaves_nothing(store: DiskStore, tmp_path: Path) -> None:
    def cancel(block: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.join(f"{REQUEST}/file", [b"block"] * 100, attempt="1", on_block=cancel)
    assert not (tmp_path / str(REQUEST)).exists()
    assert [path.name for path in (tmp_path / ".parts" / str(REQUEST)).iterdir()] == ["00000-1"]


def add_files_of_other_programs(folder: Path) -> None:
    """Add what file managers and file systems create."""
    (folder / ".DS_Store").write_text("x")
    (folder / "lost+found").mkdir()


def test_files_of_other_programs_are_not_requests(store: DiskStore, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / ".parts"):
        add_files_of_other_programs(folder)
    assert list(store.unfinished_requests()) == [REQUEST]
    store.delete_unfinished(REQUEST)
    assert list(store.unfinished_requests()) == []
    assert (tmp_path / ".parts" / ".DS_Store").exists()


def test_a_folder_among_the_files_of_a_request_does_not_stop_their_deletion(
    store: DiskStore, tmp_path: Path
) -> None:
    folder = tmp_path / str(REQUEST)
    folder.mkdir()
    for name in ("kept.csv.gz", "other.csv.gz"):
        (folder / name).write_text("x")
    add_files_of_other_programs(folder)
    store.delete_files(REQUEST, keep=f"{REQUEST}/kept.csv.gz")
    assert sorted(path.name for path in folder.iterdir()) == ["kept.csv.gz", "lost+found"]
    store.delete_files(REQUEST)
    assert not folder.exists()


def test_a_missing_folder_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    store = DiskStore(FileSystemStorage(location=tmp_path / "not-mounted"))
    with pytest.raises(FileNotFoundError):
        store.probe()
    assert not (tmp_path / "not-mounted").exists()


def test_a_probe_leaves_nothing(store: DiskStore, tmp_path: Path) -> None:
    before = list(tmp_path.iterdir())
    store.probe()
    assert list(tmp_path.iterdir()) == before
