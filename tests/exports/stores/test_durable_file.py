"""A file is on the disk when the ``with`` statement ends, and most of it already before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from exports.stores import durable_file as durable
from exports.stores.durable_file import durable_file


@pytest.fixture
def sizes_at_sync(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of the file at each ``fsync``, which begins after every two bytes."""
    sizes: list[int] = []

    def fsync(file: int) -> None:
        sizes.append(os.fstat(file).st_size)

    monkeypatch.setattr(durable, "_BYTES_PER_SYNC", 2)
    monkeypatch.setattr(os, "fsync", fsync)
    return sizes


def test_all_bytes_are_on_the_disk_when_the_block_ends(
    tmp_path: Path, sizes_at_sync: list[int]
) -> None:
    with durable_file(tmp_path / "part") as file:
        assert file.write(b"1") == 1
    assert sizes_at_sync == [1]
    assert (tmp_path / "part").read_bytes() == b"1"


def test_the_disk_stores_bytes_while_more_are_written(
    tmp_path: Path, sizes_at_sync: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    more_is_written = Event()

    def fsync(file: int) -> None:
        assert more_is_written.wait(60)
        sizes_at_sync.append(os.fstat(file).st_size)

    monkeypatch.setattr(os, "fsync", fsync)
    with durable_file(tmp_path / "part") as file:
        file.write(b"12")
        file.write(b"3")
        more_is_written.set()
    assert len(sizes_at_sync) == 2
    assert sizes_at_sync[-1] == 3


def test_a_disk_that_fails_once_while_the_file_is_written_fails_the_file(
    tmp_path: Path, sizes_at_sync: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [OSError("the disk is broken")]

    def fails_once(file: int) -> None:
        if errors:
            raise errors.pop()

    monkeypatch.setattr(os, "fsync", fails_once)
    with (
        pytest.raises(OSError, match="the disk is broken"),
        durable_file(tmp_path / "part") as file,
    ):
        file.write(b"12")
    assert not (tmp_path / "part").exists()


def test_a_file_whose_block_fails_is_deleted(tmp_path: Path, sizes_at_sync: list[int]) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"12"
        raise ValueError("no more readings")

    with (
        pytest.raises(ValueError, match="no more readings"),
        durable_file(tmp_path / "part") as file,
    ):
        sum(map(file.write, blocks()))
    assert not (tmp_path / "part").exists()
