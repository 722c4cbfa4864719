"""Read an S3 object like a local file: block by block, with the next block read ahead."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from exports.stores.base import FileMissingError
from headend.config.aws_clients import read_body

BLOCK_BYTES = 4 * 2**20
_ATTEMPTS = 6
READ_SECONDS = 120.0
"""How long a range may take with all attempts. A timeout of the connection limits only the pause between two bytes."""
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
                answer = client.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")
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

    def __init__(self, read_range: ReadRange, size: int) -> None:
        self._read_range = read_range
        self._size = size
        self._position = 0
        self._block_start = 0
        self._block = b""
        self._next: tuple[int, Future[bytes]] | None = None

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
        if not self._block_start <= self._position < self._block_start + len(self._block):
            self._load_block()
        within = self._position - self._block_start
        data = self._block[within : within + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Cancel the read ahead."""
        if self._next is not None:
            self._next[1].cancel()
            self._next = None
        super().close()

    def _load_block(self) -> None:
        """Load the block at the position, and read the next one ahead if the reads are sequential."""
        start = self._position - self._position % BLOCK_BYTES
        read_ahead, self._next = self._next, None
        is_sequential = start == self._block_start + len(self._block) or not self._block
        if read_ahead is not None and read_ahead[0] == start:
            self._block = read_ahead[1].result()
        else:
            if read_ahead is not None:
                read_ahead[1].cancel()
            self._block = self._read_range(start, min(start + BLOCK_BYTES, self._size))
        self._block_start = start
        next_start = start + len(self._block)
        if is_sequential and next_start < self._size:
            next_end = min(next_start + BLOCK_BYTES, self._size)
            self._next = (next_start, _READ_AHEAD.submit(self._read_range, next_start, next_end))
