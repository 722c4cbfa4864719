"""One session on an SFTP connection: answers paramiko's requests from the supplier's filesystem.

A client can open several sessions on one connection (SSH: channels of type *session*). All writes are refused,
except the removal of a file if the supplier has this permission.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import paramiko
from paramiko.sftp import (
    SFTP_FAILURE,
    SFTP_NO_SUCH_FILE,
    SFTP_OK,
    SFTP_PERMISSION_DENIED,
)

from exports.delivery.audited_file import AuditedFile
from exports.sftp.attributes import attributes_of, listed_attributes_of
from exports.sftp.authentication import ConnectionAuth
from exports.sftp.database import database_connection
from exports.sftp.filesystem import (
    Entry,
    Listing,
    PathNotFoundError,
    RemovalNotAllowedError,
    SupplierFilesystem,
    WrongFileTypeError,
    canonical,
    file_entry,
)
from exports.sftp.metrics import SENT_BYTES, SESSIONS
from headend import trace

log = logging.getLogger("exports.sftp")

MAX_READ_BYTES = 255 * 1024
"""The most bytes that one read returns. OpenSSH's client refuses packets of more than 256 KiB, header included."""
_BLOCK_BYTES = 4096
_ENTRIES_PER_ANSWER = 64
"""Entries of a folder in one answer: about 14 KB."""
_MAX_NAME_LENGTH = 255
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Session(paramiko.SFTPServerInterface):
    """A supplier's session in its own filesystem. Methods return paramiko's status codes."""

    def __init__(self, server: ConnectionAuth, *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        self._auth = server
        self._key = server.logged_in_key
        self._filesystem = SupplierFilesystem(self._key.supplier_id)

    def reset_idle_timer(self) -> None:
        """Start the connection's idle timeout again, because a request has arrived."""
        self._auth.last_active = time.monotonic()

    def opened(self) -> None:
        """Count and log the session. It runs in its own thread, which needs the connection's trace id."""
        trace.begin(self._auth.trace_id)
        SESSIONS.inc()
        log.info("session opened", extra=self._auth.log_fields())

    def closed(self, channel_id: int) -> None:
        """Log the end of the session and free its slot, after its files are closed."""
        log.info("session closed", extra=self._auth.log_fields())
        SESSIONS.dec()
        self._auth.sessions.thread_ended(channel_id)

    def take_handle(self) -> bool:
        """Count one more open handle of the supplier, or return false at a limit."""
        return self._auth.quotas.handles.take(self._key.supplier_id)

    def release_handle(self) -> None:
        """Count one open handle of the supplier less."""
        self._auth.quotas.handles.release(self._key.supplier_id)

    def canonicalize(self, path: str) -> str:
        """Return the absolute path inside the filesystem."""
        return canonical(path)

    def open_folder(self, path: str) -> paramiko.SFTPHandle | int:
        """Open a folder for listing."""
        try:
            with database_connection():
                return OpenFolder(self._filesystem.list_folder(path))
        except PathNotFoundError:
            return SFTP_NO_SUCH_FILE
        except WrongFileTypeError:
            return SFTP_FAILURE

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        """Return the attributes of the file or folder at a path."""
        try:
            with database_connection():
                return attributes_of(self._filesystem.entry(path))
        except PathNotFoundError:
            return SFTP_NO_SUCH_FILE

    def filesystem_status(self, path: str) -> tuple[int, ...] | int:
        """Return the eleven numbers of statvfs(3) for the filesystem of a path, as ``df`` shows them.

        Its size is that of the supplier's files, and no space is free. Neither number is 0, because clients divide by
        them.
        """
        try:
            with database_connection():
                usage = self._filesystem.usage(path)
        except PathNotFoundError:
            return SFTP_NO_SUCH_FILE
        blocks = max(1, -(-usage.size // _BLOCK_BYTES))
        # Each file has a folder, and all folders are in the root folder.
        inodes = 2 * usage.files + 1
        flags = os.ST_RDONLY | os.ST_NOSUID
        sizes = (_BLOCK_BYTES, _BLOCK_BYTES, blocks, 0, 0)
        return (*sizes, inodes, 0, 0, 0, flags, _MAX_NAME_LENGTH)

    # There are no symbolic links: lstat is stat, and readlink finds nothing.

    def lstat(self, path: str) -> paramiko.SFTPAttributes | int:
        return self.stat(path)

    def readlink(self, path: str) -> int:
        return SFTP_NO_SUCH_FILE

    def open(
        self, path: str, flags: int, attr: paramiko.SFTPAttributes | None = None
    ) -> paramiko.SFTPHandle | int:
        """Open a file for reading; refuse every flag that writes."""
        if flags & _WRITE_FLAGS:
            return SFTP_PERMISSION_DENIED
        try:
            with database_connection():
                file = self._filesystem.open(path, self._auth.fetcher)
        except PathNotFoundError:
            return SFTP_NO_SUCH_FILE
        except WrongFileTypeError:
            return SFTP_FAILURE
        except OSError as error:
            log.error("a file cannot be read", extra={"path": path, "error": str(error)})
            return SFTP_FAILURE
        return OpenFile(self._auth, file)

    def remove(self, path: str) -> int:
        """Remove a file, if the supplier may remove its files."""
        return self._removal(lambda: self._filesystem.remove(path, self._auth.fetcher))

    def rmdir(self, path: str) -> int:
        """Accept the removal of a folder that disappeared with its file; refuse every other."""
        return self._removal(lambda: self._filesystem.remove_folder(path))

    def _removal(self, remove: Callable[[], None]) -> int:
        try:
            with database_connection():
                remove()
        except PathNotFoundError:
            return SFTP_NO_SUCH_FILE
        except WrongFileTypeError:
            return SFTP_FAILURE
        except RemovalNotAllowedError:
            return SFTP_PERMISSION_DENIED
        return SFTP_OK


class OpenFile(paramiko.SFTPHandle):
    """The handle of an open file. The download is recorded when the handle is closed."""

    def __init__(self, auth: ConnectionAuth, file: AuditedFile) -> None:
        super().__init__()
        self._auth = auth
        self._file = file
        self._position = 0

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill ``buffer`` from ``offset`` on, and return the number of bytes: less at the end of the file.

        Raises ``OSError``, ``ValueError`` or ``OverflowError``.
        """
        # Most clients read in order: then no seek is needed.
        is_next, self._position = offset == self._position, -1
        if not is_next:
            self._file.seek(offset)
        count = self._file.readinto(buffer)
        self._position = offset + count
        self._file.count_sent(count)
        self._auth.bytes_sent += count
        SENT_BYTES.inc(count)
        return count

    def stat(self) -> paramiko.SFTPAttributes:
        """Return the file's attributes."""
        return attributes_of(file_entry(self._file.request))

    def close(self) -> None:
        """Close the file and record the download."""
        with database_connection():
            self._file.close()


class OpenFolder(paramiko.SFTPHandle):
    """The handle of an open folder. It holds only the entries of one block, however many the folder has."""

    def __init__(self, listing: Listing) -> None:
        super().__init__()
        self._listing = listing
        self._block: deque[Entry] = deque()

    def _get_next_files(self) -> list[paramiko.SFTPAttributes]:
        if not self._block:
            with database_connection():
                self._block.extend(self._listing.next_block())
        count = min(len(self._block), _ENTRIES_PER_ANSWER)
        return [listed_attributes_of(self._block.popleft()) for _ in range(count)]
