"""Ranges of an object are read with a deadline, and open objects need little memory."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest
import urllib3
from botocore.response import StreamingBody

from exports.stores import object_reader
from exports.stores.object_reader import ObjectReader, range_reader

MUCH_LONGER = 30.0


def drip(listener: socket.socket) -> None:
    """Answer each connection with one byte every 20 ms, far fewer than announced, until it is closed."""

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 206 Partial Content\r\nContent-Length: 4000000\r\n\r\n")
            while True:
                time.sleep(0.02)
                connection.sendall(b"x")

    with suppress(OSError):
        while True:
            threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()


@pytest.mark.starts_processes
def test_a_store_that_drips_is_an_error_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_reader, "READ_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=[listener], daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        def get_object(**_: Any) -> dict[str, Any]:
            answer = urllib3.PoolManager().request("GET", url, preload_content=False, retries=False)
            return {"Body": StreamingBody(answer, "4000000")}

        read_range = range_reader(SimpleNamespace(get_object=get_object), "bucket", "key")
        started = time.monotonic()
        with pytest.raises(OSError, match=r"did not arrive within 0\.4 s"):
            read_range(0, 4_000_000)
        assert time.monotonic() - started < MUCH_LONGER


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
def test_an_object_that_nobody_reads_gives_its_blocks_up_for_another_one(
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
