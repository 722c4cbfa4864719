"""A folder on a disk and a folder in a bucket behave in the same way."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl
import pytest

from readings.repositories.delta.address import BucketAddress
from readings.repositories.delta.bucket import BucketFolder
from readings.repositories.delta.folder import DiskFolder, Folder
from tests.readings.repositories.engines import DeltaInBucket
from tests.services.servers import SeaweedFS

ROWS = pl.DataFrame({"number": [1, 2, 3]})


@pytest.fixture(
    scope="session",
    params=["disk", pytest.param("bucket", marks=pytest.mark.starts_processes)],
)
def bucket_server(request: pytest.FixtureRequest) -> SeaweedFS | None:
    """The server of the bucket, or None for a folder on a disk."""
    return request.getfixturevalue("seaweedfs") if request.param == "bucket" else None


@pytest.fixture
def folder(bucket_server: SeaweedFS | None, tmp_path: Path) -> Folder:
    """An empty folder of each kind."""
    if bucket_server is None:
        return DiskFolder(tmp_path)
    with DeltaInBucket(bucket_server).new_repository() as url:
        return BucketFolder(BucketAddress.of(url))


def test_files_are_found_read_replaced_and_removed(folder: Folder) -> None:
    folder.put("_kind/a", b"1")
    folder.put("_kind/a", b"2")
    folder.put("_kind/b", b"3")
    assert folder.read(["_kind/a", "_kind/missing", "_kind/b"]) == [b"2", None, b"3"]
    assert sorted(folder.names("_kind")) == ["_kind/a", "_kind/b"]
    assert folder.existing(["_kind/a", "_kind/missing"]) == {"_kind/a"}
    many = [f"_kind/{letter}" for letter in "abcdefgh"]
    assert folder.existing(many) == {"_kind/a", "_kind/b"}
    folder.remove(["_kind/a", "_kind/missing"])
    assert folder.names("_kind") == ["_kind/b"]
    folder.remove([])


def test_a_folder_that_does_not_exist_has_no_files(folder: Folder) -> None:
    assert folder.names("_missing") == []
    assert folder.existing(["_missing/a"]) == set()
    assert folder.existing([]) == set()
    assert folder.read([]) == []


def test_names_are_those_of_one_folder(folder: Folder) -> None:
    folder.put("_kind/a", b"1")
    folder.put("_kinds/b", b"1")
    folder.put("_deep/c", b"1")
    assert folder.names("_kind") == ["_kind/a"]


def test_a_file_has_another_identity_after_it_was_replaced(folder: Folder) -> None:
    folder.put("_kind/a", b"1")
    before = folder.identities(["_kind/a", "_kind/missing"])
    assert folder.identities(["_kind/a"]) == before[:1]
    assert before[0] is not None
    assert before[1] is None
    folder.put("_kind/a", b"22")
    assert folder.identities(["_kind/a"]) != before[:1]


def test_frames_are_written_and_scanned(folder: Folder) -> None:
    size = folder.write_frame("day=2023-02-27/part-1.parquet", ROWS, compression="zstd")
    folder.put_frame("_kind/a.parquet", ROWS, compression="zstd")
    [content] = folder.read(["day=2023-02-27/part-1.parquet"])
    assert size == len(content or b"")
    for name in ("day=2023-02-27/part-1.parquet", "_kind/a.parquet"):
        path = folder.path(name)
        scanned = folder.scan([path], include_file_paths="file").collect()
        assert scanned.drop("file").equals(ROWS)
        assert set(scanned["file"]) == {path}


def test_only_older_files_are_removed(folder: Folder) -> None:
    folder.put("_kind/a", b"1")
    names = ["_kind/a", "_kind/missing"]
    assert folder.remove_older(names, time.time() - 3600) == 0
    assert folder.remove_older(names, time.time() + 3600) == 1
    assert folder.names("_kind") == []


def test_a_second_writer_of_the_same_file_is_refused(folder: Folder) -> None:
    folder.check()
    assert folder.names("_setup") == []


def test_equal_folders_are_the_same_place(tmp_path: Path) -> None:
    assert DiskFolder(tmp_path) == DiskFolder(tmp_path) != DiskFolder(tmp_path / "other")
    here = BucketFolder(BucketAddress("bucket", "prefix", "us-east-1", "http://127.0.0.1:9"))
    there = BucketFolder(BucketAddress("bucket", "prefix", "us-east-1", "http://127.0.0.1:10"))
    assert here != there
    assert len({here, there}) == 2
