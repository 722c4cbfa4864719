"""An object of a bucket, read by ranges: a block at a time, and the next one ahead."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from exports.stores.base import FileMissingError

BLOCK = 4 * 2**20
_TRIES = 6
_READ_AHEAD = ThreadPoolExecutor(8, thread_name_prefix="read-ahead")

Fetch = Callable[[int, int], bytes]
"""The bytes from one position up to another."""


def fetch_of(client: Any, bucket: str, key: str) -> Fetch:
    """Fetches ranges of an object. An answer that breaks off is asked for again.

    Raises :class:`FileMissingError` when there is no such object.
    """

    def fetch(start: int, end: int) -> bytes:
        for attempt in range(1, _TRIES + 1):
            try:
                answer = client.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")
                data: bytes = answer["Body"].read()
                if len(data) == end - start:
                    return data
            except ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "404", "InvalidRange"):
                    raise FileMissingError from None
                raise
            except (BotoCoreError, HTTPClientError, OSError):
                # botocore tries a call again, but not an answer whose body breaks off.
                if attempt == _TRIES:
                    raise
            time.sleep(0.1 * 2**attempt)
        raise OSError(f"{key} kept coming short.")

    return fetch


def blocks(fetch: Fetch, start: int, end: int) -> Iterator[bytes]:
    """A stretch of an object, :data:`BLOCK` bytes at a time."""
    for position in range(start, end, BLOCK):
        yield fetch(position, min(position + BLOCK, end))


class RangeReader(io.RawIOBase):
    """A file over ranges. Holds two blocks at most; who reads in order finds the next one there."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._position = 0
        self._start = 0
        self._block = b""
        self._next: tuple[int, Future[bytes]] | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere; nothing is fetched yet."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("There is nothing before the beginning.")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill as much of ``buffer`` as one block has."""
        if self._position >= self._size:
            return 0
        if not self._start <= self._position < self._start + len(self._block):
            self._turn_to_block()
        within = self._position - self._start
        data = self._block[within : within + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Let go of what was read ahead."""
        if self._next is not None:
            self._next[1].cancel()
            self._next = None
        super().close()

    def _turn_to_block(self) -> None:
        start = self._position - self._position % BLOCK
        ahead, self._next = self._next, None
        follows = start == self._start + len(self._block) or not self._block
        if ahead is not None and ahead[0] == start:
            self._block = ahead[1].result()
        else:
            if ahead is not None:
                ahead[1].cancel()
            self._block = self._fetch(start, min(start + BLOCK, self._size))
        self._start = start
        onward = start + len(self._block)
        if follows and onward < self._size:
            fetched = _READ_AHEAD.submit(self._fetch, onward, min(onward + BLOCK, self._size))
            self._next = (onward, fetched)
