"""A new file whose bytes are on the disk, not only in a cache of the system, when the ``with`` statement ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_BYTES_PER_SYNC = 4 << 20


class DurableFile:
    """A file to write to. Another thread calls ``fsync`` while the caller writes more."""

    def __init__(self, file: BinaryIO, other_thread: ThreadPoolExecutor) -> None:
        self._file = file
        self._other_thread = other_thread
        self._sync: Future[None] | None = None
        self._bytes_to_sync = 0

    def write(self, block: bytes) -> int:
        """Write the bytes, and return how many there are. Raises ``OSError``, also for bytes of earlier calls."""
        size = self._file.write(block)
        self._bytes_to_sync += size
        if self._bytes_to_sync >= _BYTES_PER_SYNC and (self._sync is None or self._sync.done()):
            self._raise_error_of_sync()
            self._sync = self._other_thread.submit(os.fsync, self._file.fileno())
            self._bytes_to_sync = 0
        return size

    def sync(self) -> None:
        """Wait until the disk has stored all bytes. Raises ``OSError`` if it cannot."""
        self._raise_error_of_sync()
        self._file.flush()
        os.fsync(self._file.fileno())

    def _raise_error_of_sync(self) -> None:
        # The system reports an error of the disk only once, so the result of each `fsync` is checked.
        if self._sync is not None:
            self._sync.result()


@contextmanager
def durable_file(path: Path) -> Iterator[DurableFile]:
    """Create a file. After the ``with`` statement the disk has stored it; if an error ends it, the file is deleted."""
    try:
        with path.open("wb") as file, ThreadPoolExecutor(1) as other_thread:
            durable = DurableFile(file, other_thread)
            yield durable
            durable.sync()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
