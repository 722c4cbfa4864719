"""Read an S3 object like a local file: block by block, with the next block read ahead."""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar
from weakref import WeakSet

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from exports.stores.base import FileMissingError
from headend.config.aws_clients import calls_end_by, read_body

BLOCK_BYTES = 4 * 2**20
SMALL_BLOCK_BYTES = 256 * 1024
MAX_READERS_WITH_LARGE_BLOCKS = 32
"""How many readers of a process have large blocks: one block of :data:`BLOCK_BYTES`, and the next one read ahead. They
need 256 MiB. Every other reader has one block of :data:`SMALL_BLOCK_BYTES`. Otherwise a client could fill the memory by
opening many files."""
IDLE_SECONDS = 10.0
"""A reader that was not used for this time loses its blocks if another reader needs large ones."""
_ATTEMPTS = 6
READ_SECONDS = 120.0
"""How long a range may take with all attempts, from the first request to the last byte. Only a pause before a retry may
take longer."""
_READ_AHEAD = ThreadPoolExecutor(8, thread_name_prefix="read-ahead")

ReadRange = Callable[[int, int], bytes]
"""Returns an object's bytes from a start (included) to an end (excluded)."""


def range_reader(client: Any, bucket: str, key: str) -> ReadRange:
    """Return a function that reads ranges of an object. It retries if a response breaks off.

    The function raises :class:`FileMissingError` if the object does not exist, and ``OSError`` after
    :data:`READ_SECONDS`.
    """

    def read_range(start: int, end: int) -> bytes:
        deadline = time.monotonic() + READ_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            if time.monotonic() > deadline:
                raise OSError(f"{key}: the bytes did not arrive within {READ_SECONDS:g} s.")
            try:
                with calls_end_by(deadline):
                    answer = client.get_object(
                        Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}"
                    )
                data = read_body(answer["Body"], deadline - time.monotonic())
                if len(data) == end - start:
                    return data
            except ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "404", "InvalidRange"):
                    raise FileMissingError from None
                raise
            except (BotoCoreError, HTTPClientError, OSError):
                # botocore retries a failed call, but not a response whose body breaks off.
                if attempt == _ATTEMPTS:
                    raise
            time.sleep(0.1 * 2**attempt)
        raise OSError(f"{key}: every response was shorter than the requested range.")

    return read_range


def read_blocks(read_range: ReadRange, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of a range in blocks of :data:`BLOCK_BYTES`."""
    for position in range(start, end, BLOCK_BYTES):
        yield read_range(position, min(position + BLOCK_BYTES, end))


class ObjectReader(io.RawIOBase):
    """A seekable file over ranges. Holds two blocks at most: the current one and, in a sequential read, the next."""

    _with_large_blocks: ClassVar[WeakSet[ObjectReader]] = WeakSet()
    # Python may close an unused reader at any time, even in a thread that has the lock.
    _lock = threading.RLock()

    def __init__(self, read_range: ReadRange, size: int) -> None:
        self._read_range = read_range
        self._size = size
        self._position = 0
        # The start of the block and its bytes. Another thread may replace the pair, and the next block, by nothing.
        self._block = (0, b"")
        self._next: tuple[int, Future[bytes]] | None = None
        self._used_at = time.monotonic()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        """Return the position of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position of the next read, and read nothing yet. Raises ``ValueError`` if it is negative."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("The position cannot be negative.")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with bytes of one block and return how many; 0 at the end of the file."""
        if self._position >= self._size:
            return 0
        self._used_at = time.monotonic()
        start, block = self._block
        if not start <= self._position < start + len(block):
            start, block = self._load_block()
        within = self._position - start
        data = memoryview(block)[within : within + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Drop the blocks, and cancel the read-ahead."""
        with self._lock:
            self._with_large_blocks.discard(self)
        self._drop_blocks()
        super().close()

    def _drop_blocks(self) -> None:
        self._block = (0, b"")
        read_ahead, self._next = self._next, None
        if read_ahead is not None:
            read_ahead[1].cancel()

    def _load_block(self) -> tuple[int, bytes]:
        """Load and return the block at the position, and read the next one ahead if the reads are sequential."""
        # A reader that loads is never idle: the block that arrives would not count.
        self._used_at = math.inf
        try:
            return self._load_next()
        finally:
            self._used_at = time.monotonic()

    def _load_next(self) -> tuple[int, bytes]:
        block_bytes = BLOCK_BYTES if self._may_have_large_blocks() else SMALL_BLOCK_BYTES
        start = self._position - self._position % block_bytes
        (last_start, last_block), read_ahead = self._block, self._next
        self._block, self._next = (0, b""), None
        is_sequential = start == last_start + len(last_block) or not last_block
        del last_block
        if read_ahead is not None and read_ahead[0] == start:
            block = read_ahead[1].result()
        else:
            if read_ahead is not None:
                read_ahead[1].cancel()
            block = self._read_range(start, min(start + block_bytes, self._size))
        next_start = start + len(block)
        if is_sequential and next_start < self._size and self._may_have_large_blocks():
            next_end = min(next_start + BLOCK_BYTES, self._size)
            self._next = (next_start, _READ_AHEAD.submit(self._read_range, next_start, next_end))
        self._block = (start, block)
        return start, block

    def _may_have_large_blocks(self) -> bool:
        """Return whether this reader is one of those with large blocks, or can become one."""
        readers = self._with_large_blocks
        with self._lock:
            now = time.monotonic()
            if self not in readers and len(readers) >= MAX_READERS_WITH_LARGE_BLOCKS:
                idle = {each for each in readers if now - each._used_at > IDLE_SECONDS}
                for reader in idle:
                    reader._drop_blocks()
                readers -= idle
            if len(readers) < MAX_READERS_WITH_LARGE_BLOCKS:
                readers.add(self)
            return self in readers
