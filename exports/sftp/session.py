"""One SFTP session: paramiko's requests turned into looks at a home. Everything that writes is refused."""

from __future__ import annotations

import logging
import os
import stat
import time
from typing import IO, TYPE_CHECKING, Any

import paramiko
from django.utils import timezone
from paramiko.sftp import (
    CMD_OPEN,
    CMD_OPENDIR,
    SFTP_FAILURE,
    SFTP_NO_SUCH_FILE,
    SFTP_PERMISSION_DENIED,
)

from exports.delivery.audit import note_fetch
from exports.models import FetchWay, FileRequest
from exports.sftp.authentication import Doorkeeper, Visitor, database, note_use
from exports.sftp.filesystem import Entry, Home, NotAFileError, NothingThereError, canonical
from exports.sftp.metrics import SENT_BYTES, SESSIONS
from headend import trace

if TYPE_CHECKING:
    from typing_extensions import Buffer

log = logging.getLogger("exports.sftp")

MOST_HANDLES = 64
"""Open files and folders in one session."""
MOST_BYTES_A_READ = 256 * 1024
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class BoundedSFTPServer(paramiko.SFTPServer):
    """paramiko's server, which would keep as many handles open as a client asks for."""

    server: Session

    def _process(self, t: int, request_number: int, msg: paramiko.Message) -> None:
        self.server.stay_awake()
        if t in (CMD_OPEN, CMD_OPENDIR) and self._open_handles() >= MOST_HANDLES:
            refusal = f"At most {MOST_HANDLES} handles at once."
            self._send_status(request_number, SFTP_FAILURE, refusal)  # type: ignore[attr-defined] # not in paramiko's stubs
            return
        super()._process(t, request_number, msg)  # type: ignore[misc] # not in paramiko's stubs

    def finish_subsystem(self) -> None:
        """The end of a session, in its own thread, however its connection ended."""
        try:
            super().finish_subsystem()
        finally:
            self.server.let_go()

    def _open_handles(self) -> int:
        return len(self.file_table) + len(self.folder_table)


class Session(paramiko.SFTPServerInterface):
    """A supplier's session in its own home."""

    def __init__(self, server: Doorkeeper, *args: Any, **kwargs: Any) -> None:
        super().__init__(server, *args, **kwargs)
        assert server.visitor is not None  # paramiko opens no channel before the login
        self._doorkeeper = server
        self._visitor = server.visitor
        self._home = Home(server.visitor.supplier_id)
        server.session_began()
        SESSIONS.inc()

    def stay_awake(self) -> None:
        """Something was asked for: the connection is not idle."""
        self._doorkeeper.last_active = time.monotonic()

    def session_started(self) -> None:
        """Note that the key is in use."""
        # This thread is the session's own: what it logs goes under its connection's id.
        trace.begin(self._doorkeeper.request_id)
        log.info("session opened", extra=_names(self._visitor))
        with database():
            note_use(self._visitor)

    def session_ended(self) -> None:
        """The client has gone; its files are about to be closed."""
        log.info("session closed", extra=_names(self._visitor))

    def let_go(self) -> None:
        """Make room for another session."""
        SESSIONS.dec()
        self._doorkeeper.session_ended()

    def canonicalize(self, path: str) -> str:
        """The path inside the home."""
        return canonical(path)

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        """What a folder holds."""
        try:
            with database():
                return [_attributes(entry) for entry in self._home.entries(path)]
        except NothingThereError:
            return SFTP_NO_SUCH_FILE
        except NotAFileError:
            return SFTP_FAILURE

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        """What lies at a path."""
        try:
            with database():
                return _attributes(self._home.entry(path))
        except NothingThereError:
            return SFTP_NO_SUCH_FILE

    def lstat(self, path: str) -> paramiko.SFTPAttributes | int:
        """As :meth:`stat`; a home has no links."""
        return self.stat(path)

    def open(
        self, path: str, flags: int, attr: paramiko.SFTPAttributes
    ) -> paramiko.SFTPHandle | int:
        """Open a file for reading."""
        if flags & _WRITES:
            return SFTP_PERMISSION_DENIED
        try:
            with database():
                request, file = self._home.open(path)
                entry = self._home.entry(path)
        except NothingThereError:
            return SFTP_NO_SUCH_FILE
        except NotAFileError:
            return SFTP_FAILURE
        return OpenFile(self._doorkeeper, self._visitor, request, entry, file)

    def remove(self, path: str) -> int:
        """Refused."""
        return SFTP_PERMISSION_DENIED

    def rename(self, oldpath: str, newpath: str) -> int:
        """Refused."""
        return SFTP_PERMISSION_DENIED

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """Refused."""
        return SFTP_PERMISSION_DENIED

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        """Refused."""
        return SFTP_PERMISSION_DENIED

    def rmdir(self, path: str) -> int:
        """Refused."""
        return SFTP_PERMISSION_DENIED

    def chattr(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        """Refused."""
        return SFTP_PERMISSION_DENIED

    def symlink(self, target_path: str, path: str) -> int:
        """Refused."""
        return SFTP_PERMISSION_DENIED

    def readlink(self, path: str) -> int:
        """A home has no links."""
        return SFTP_NO_SUCH_FILE


class OpenFile(paramiko.SFTPHandle):
    """A file that a supplier reads; how much of it is noted when it is closed."""

    def __init__(
        self,
        doorkeeper: Doorkeeper,
        visitor: Visitor,
        request: FileRequest,
        entry: Entry,
        file: IO[bytes],
    ) -> None:
        super().__init__()
        self._doorkeeper = doorkeeper
        self._visitor = visitor
        self._request = request
        self._entry = entry
        self._file = file
        self._position = 0
        self._bytes_sent = 0
        self._started_at = timezone.now()

    def read(self, offset: int, length: int) -> bytes | int:
        """Bytes from ``offset``; none of them at the end of the file."""
        try:
            if offset != self._position:
                self._file.seek(offset)
            data = self._file.read(min(length, MOST_BYTES_A_READ))
        except (OSError, ValueError, OverflowError):
            self._position = -1
            return SFTP_FAILURE
        self._position = offset + len(data)
        self._bytes_sent += len(data)
        self._doorkeeper.bytes_sent += len(data)
        SENT_BYTES.inc(len(data))
        return data

    def write(self, offset: int, data: Buffer) -> int:
        """Refused."""
        return SFTP_PERMISSION_DENIED

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        """Refused."""
        return SFTP_PERMISSION_DENIED

    def stat(self) -> paramiko.SFTPAttributes:
        """What the handle's file is."""
        return _attributes(self._entry)

    def close(self) -> None:
        """Let go of the file."""
        if self._file.closed:
            return
        self._file.close()
        with database():
            note_fetch(
                self._request,
                way=FetchWay.SFTP,
                who=self._visitor.fingerprint,
                peer=self._visitor.peer,
                bytes_sent=self._bytes_sent,
                started_at=self._started_at,
            )


def _attributes(entry: Entry) -> paramiko.SFTPAttributes:
    attributes = paramiko.SFTPAttributes()
    attributes.filename = entry.name
    attributes.st_mode = (stat.S_IFDIR | 0o555) if entry.is_folder else (stat.S_IFREG | 0o444)
    attributes.st_size = entry.size
    attributes.st_uid = attributes.st_gid = 0
    attributes.st_mtime = attributes.st_atime = int(entry.modified.timestamp())
    return attributes


def _names(visitor: Visitor) -> dict[str, str]:
    return {"supplier": visitor.supplier, "key": visitor.fingerprint, "peer": visitor.peer}
