"""The SFTP protocol as headend speaks it: paramiko's server with limits, extensions and an exit status."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import paramiko
from paramiko.sftp import (
    CMD_EXTENDED,
    CMD_EXTENDED_REPLY,
    CMD_OPEN,
    CMD_OPENDIR,
    CMD_REMOVE,
    CMD_RMDIR,
    CMD_VERSION,
    SFTP_FAILURE,
    SFTP_PERMISSION_DENIED,
    int64,
)

from exports.sftp.session import MAX_READ_BYTES, Session

MAX_HANDLES = 64
"""Open files and folders in one session."""
MAX_PACKET_BYTES = 256 * 1024
"""The longest SFTP packet, which is also the longest that OpenSSH's client accepts."""
EXTENSIONS = (("statvfs@openssh.com", "2"), ("limits@openssh.com", "1"))
"""Names and versions of OpenSSH's extensions that the server announces."""
_REFUSALS = {
    CMD_REMOVE: "You are not allowed to remove files. The operator can allow it.",
    CMD_RMDIR: "Folders cannot be removed. A folder disappears when its file is removed.",
}


if TYPE_CHECKING:

    class _SFTPServer(paramiko.SFTPServer):
        """paramiko's server with the methods that its type stubs do not contain."""

        def _process(self, t: int, request_number: int, msg: paramiko.Message) -> None: ...
        def _send_status(self, request_number: int, code: int, desc: str | None = None) -> None: ...
        def _send_packet(self, t: int, packet: paramiko.Message) -> None: ...
        def _response(self, request_number: int, t: int, *values: int) -> None: ...
else:
    _SFTPServer = paramiko.SFTPServer


class LimitedSFTPServer(_SFTPServer):
    """paramiko's SFTP server with a limit of open handles, two of OpenSSH's extensions, and an exit status."""

    server: Session

    def _process(self, t: int, request_number: int, msg: paramiko.Message) -> None:
        self.server.reset_idle_timer()
        self._refusal = _REFUSALS.get(t, "Files cannot be uploaded or changed here.")
        if t in (CMD_OPEN, CMD_OPENDIR) and self._open_handles() >= MAX_HANDLES:
            refusal = f"A session can have {MAX_HANDLES} open handles at most."
            self._send_status(request_number, SFTP_FAILURE, refusal)
            return
        if t == CMD_EXTENDED and self._answer_extension(request_number, msg):
            return
        super()._process(t, request_number, msg)

    def _send_status(self, request_number: int, code: int, desc: str | None = None) -> None:
        if code == SFTP_PERMISSION_DENIED and desc is None:
            desc = self._refusal
        super()._send_status(request_number, code, desc)

    def finish_subsystem(self) -> None:
        """Close the session's handles and end it. Runs in the session's thread, also if the connection broke."""
        try:
            # Without an exit status, scp exits with an error although it received everything.
            with suppress(OSError, EOFError, paramiko.SSHException):
                if self.sock is not None and not self.sock.closed:
                    self.sock.send_exit_status(0)
            super().finish_subsystem()
        finally:
            self.server.release()

    def _send_packet(self, t: int, packet: paramiko.Message) -> None:
        if t == CMD_VERSION:
            packet.add(*(text for extension in EXTENSIONS for text in extension))
        super()._send_packet(t, packet)

    def _answer_extension(self, request_number: int, msg: paramiko.Message) -> bool:
        """Answer an extended request of :data:`EXTENSIONS`; return false for others, and leave the message unread."""
        tag = msg.get_text()
        if tag == "limits@openssh.com":
            # Packet, read, write, handles. 0 means that the server states no limit.
            self._reply(request_number, MAX_PACKET_BYTES, MAX_READ_BYTES, 0, MAX_HANDLES)
        elif tag == "statvfs@openssh.com":
            status = self.server.filesystem_status(msg.get_text())
            if isinstance(status, int):
                self._send_status(request_number, status)
            else:
                self._reply(request_number, *status)
        else:
            msg.rewind()
            msg.get_int()  # the request number
            return False
        return True

    def _reply(self, request_number: int, *numbers: int) -> None:
        self._response(request_number, CMD_EXTENDED_REPLY, *map(int64, numbers))

    def _open_handles(self) -> int:
        return len(self.file_table) + len(self.folder_table)
