"""Ranges of an object are read with a deadline, and open objects need little memory."""

from __future__ import annotations

from concurrent.futures import Future
from weakref import WeakSet

import pytest

from exports.stores import object_reader
from exports.stores.object_reader import ObjectReader, range_reader
from headend.config.aws_clients import create_client
from tests.dripping import Server, drip, running, soon


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    "server",
    [
        drip(b"HTTP/1.1 206 Partial Content\r\n", b"x: 1\r\n"),
        drip(b"HTTP/1.1 206 Partial Content\r\nContent-Length: 4000000\r\n\r\n", b"x"),
    ],
    ids=["headers", "body"],
)
def test_a_store_that_drips_is_an_error_after_the_deadline(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_reader, "READ_SECONDS", 0.4)
    with running(server) as port, soon():
        client = create_client(
            "s3",
            seconds=600,
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )
        with pytest.raises(OSError, match=r"did not arrive within 0\.4 s"):
            range_reader(client, "bucket", "key")(0, 4_000_000)


CONTENT = bytes(range(256)) * 4


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readers may have large blocks, of 128 bytes. Small blocks have 16 bytes."""
    monkeypatch.setattr(object_reader, "BLOCK_BYTES", 128)
    monkeypatch.setattr(object_reader, "SMALL_BLOCK_BYTES", 16)
    monkeypatch.setattr(object_reader, "MAX_READERS_WITH_LARGE_BLOCKS", 2)
    monkeypatch.setattr(ObjectReader, "_with_large_blocks", WeakSet())


def new_reader() -> ObjectReader:
    return ObjectReader(lambda start, end: CONTENT[start:end], len(CONTENT))


def bytes_held(readers: list[ObjectReader]) -> list[int]:
    """Return how many bytes each reader holds, with the block that is read ahead."""
    return [
        len(reader._block[1]) + (len(reader._next[1].result()) if reader._next else 0)
        for reader in readers
    ]


@pytest.mark.usefixtures("small_limits")
def test_only_some_of_many_open_objects_have_large_blocks_and_all_are_read_correctly() -> None:
    readers = [new_reader() for _ in range(5)]
    assert [reader.read(1) for reader in readers] == [CONTENT[:1]] * 5
    assert bytes_held(readers) == [256, 256, 16, 16, 16]
    assert [reader.readall() for reader in readers] == [CONTENT[1:]] * 5
    readers[0].close()
    assert readers[2].seek(300) == 300
    assert readers[2].read(2) == CONTENT[300:302]
    assert bytes_held(readers[1:3]) == [128, 128]


@pytest.mark.usefixtures("small_limits")
def test_an_object_that_is_not_read_gives_up_its_blocks_for_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("exports.stores.object_reader.time.monotonic", lambda: now)
    first, second, third = readers = [new_reader() for _ in range(3)]
    first.read(1)
    second.read(1)
    now += object_reader.IDLE_SECONDS
    second.read(1)
    now += 1
    assert third.read(1) == CONTENT[:1]
    assert bytes_held(readers) == [0, 256, 256]
    assert first.readall() == CONTENT[1:]
    assert bytes_held(readers)[0] == 16


@pytest.mark.usefixtures("small_limits")
def test_an_object_that_takes_long_to_load_keeps_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("exports.stores.object_reader.time.monotonic", lambda: now)
    second, third = new_reader(), new_reader()
    second.read(1)

    def load_slowly(start: int, end: int) -> bytes:
        nonlocal now
        if start == 0:
            now += object_reader.IDLE_SECONDS + 1
            second.read(1)
            third.read(1)
        return CONTENT[start:end]

    slow = ObjectReader(load_slowly, len(CONTENT))
    assert slow.read(1) == CONTENT[:1]
    assert bytes_held([slow, second, third]) == [256, 256, 16]


@pytest.mark.usefixtures("small_limits")
def test_the_read_ahead_of_an_object_that_loses_its_blocks_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("exports.stores.object_reader.time.monotonic", lambda: now)
    first, second, third = [new_reader() for _ in range(3)]
    first.read(1)
    second.read(1)
    read_ahead: Future[bytes] = Future()
    first._next = (128, read_ahead)
    now += object_reader.IDLE_SECONDS + 1
    third.read(1)
    assert read_ahead.cancelled()
