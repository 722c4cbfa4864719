"""The SFTP protocol as headend speaks it: paramiko's server with an allow-list of requests, and with limits."""

from __future__ import annotations

import logging
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_DATA,
    CMD_EXTENDED,
    CMD_EXTENDED_REPLY,
    CMD_FSETSTAT,
    CMD_FSTAT,
    CMD_INIT,
    CMD_LSTAT,
    CMD_MKDIR,
    CMD_OPEN,
    CMD_OPENDIR,
    CMD_READ,
    CMD_READDIR,
    CMD_READLINK,
    CMD_REALPATH,
    CMD_REMOVE,
    CMD_RENAME,
    CMD_RMDIR,
    CMD_SETSTAT,
    CMD_STAT,
    CMD_SYMLINK,
    CMD_VERSION,
    CMD_WRITE,
    SFTP_BAD_MESSAGE,
    SFTP_EOF,
    SFTP_FAILURE,
    SFTP_OK,
    SFTP_OP_UNSUPPORTED,
    SFTP_PERMISSION_DENIED,
    int64,
)

from exports.sftp.authentication import OUTAGE
from exports.sftp.packetizer import data_buffer
from exports.sftp.session import MAX_READ_BYTES, OpenFile, Session
from exports.sftp.transport import ServerTransport
from headend.config.database_errors import first_line, is_database_outage
from headend.config.limited_log import LimitedLog

log = logging.getLogger("exports.sftp")
limited_log = LimitedLog(log)

SFTP_VERSION = 3
MAX_HANDLES = 64
"""Open files and folders in one session."""
MAX_SFTP_PACKET_BYTES = 256 * 1024
"""The longest SFTP packet, which is also the longest that OpenSSH's client accepts."""
EXTENSIONS = (("statvfs@openssh.com", "2"), ("limits@openssh.com", "1"))
"""Names and versions of OpenSSH's extensions that the server announces. It answers no others."""
_RENAMES = "posix-rename@openssh.com"
_ANSWERED_BY_PARAMIKO = {
    CMD_LSTAT,
    CMD_FSTAT,
    CMD_STAT,
    CMD_READDIR,
    CMD_READLINK,
    CMD_REALPATH,
    CMD_REMOVE,
    CMD_RMDIR,
}
_REFUSED_CHANGES = {CMD_WRITE, CMD_SETSTAT, CMD_FSETSTAT, CMD_MKDIR, CMD_RENAME, CMD_SYMLINK}
_DATA_HEADER = struct.Struct(">IBII")
"""The size of a packet with data, its type, the number of the request, and the number of bytes."""
_NO_CHANGES = "Files cannot be uploaded or changed here."
_REFUSALS = {
    CMD_REMOVE: "You are not allowed to remove files. The operator can allow it.",
    CMD_RMDIR: "Folders cannot be removed. A folder disappears when its file is removed.",
}


if TYPE_CHECKING:

    class _SFTPServer(paramiko.SFTPServer):
        """paramiko's server with the methods that its type stubs do not contain."""

        def _process(self, t: int, request_number: int, msg: paramiko.Message) -> None: ...
        def _convert_pflags(self, pflags: int) -> int: ...
        def _read_all(self, n: int) -> bytes: ...
        def _read_packet(self) -> tuple[int, bytes]: ...
        def _send_handle_response(
            self, request_number: int, handle: paramiko.SFTPHandle | int, *, folder: bool = False
        ) -> None: ...
        def _send_status(self, request_number: int, code: int, desc: str | None = None) -> None: ...
        def _send_packet(self, t: int, packet: paramiko.Message) -> None: ...
        def _response(self, request_number: int, t: int, *values: int) -> None: ...
else:
    _SFTPServer = paramiko.SFTPServer


class LimitedSFTPServer(_SFTPServer):
    """paramiko's SFTP server, reduced to reading and removing, with limits and an exit status."""

    server: Session

    def __init__(self, channel: paramiko.Channel, *args: Any, **kwargs: Any) -> None:
        super().__init__(channel, *args, **kwargs)
        self._channel = channel
        transport = channel.get_transport()
        assert isinstance(transport, ServerTransport)
        self._transport = transport

    def start_subsystem(
        self, name: str, transport: paramiko.Transport, channel: paramiko.Channel
    ) -> None:
        """Answer requests until the client ends the session or the connection."""
        self.server.opened()
        super().start_subsystem(name, transport, channel)

    def finish_subsystem(self) -> None:
        """Close the channel and the session's handles. Runs in the session's thread, even if the connection broke."""
        channel, handles = self._channel, [*self.file_table.values(), *self.folder_table.values()]
        # paramiko does not close handles if the message that the channel is closed cannot be sent.
        self.file_table, self.folder_table = {}, {}
        try:
            with suppress(OSError, EOFError, paramiko.SSHException):
                # Without an exit status, scp exits with an error although it received everything.
                if not channel.closed:
                    channel.send_exit_status(0)
                super().finish_subsystem()
        finally:
            for handle in handles:
                try:
                    self._close_handle(handle)
                except Exception:
                    # The other handles must be closed, and the session must end, after any error.
                    log.exception("a handle was not closed")
            self.server.closed(channel.get_id())

    def _process(self, t: int, request_number: int, msg: paramiko.Message) -> None:
        self.server.reset_idle_timer()
        self._refusal = _REFUSALS.get(t, _NO_CHANGES)
        try:
            self._answer(t, request_number, msg)
        except Exception as error:
            if not is_database_outage(error):
                raise
            limited_log.warning("the database cannot be used", error=first_line(error))
            self._send_status(request_number, SFTP_FAILURE, OUTAGE)

    def _answer(self, t: int, request_number: int, msg: paramiko.Message) -> None:
        if t in (CMD_OPEN, CMD_OPENDIR):
            self._open(t, request_number, msg)
        elif t == CMD_CLOSE:
            self._close(request_number, msg.get_binary())
        elif t == CMD_READ:
            self._read(request_number, msg)
        elif t in _ANSWERED_BY_PARAMIKO:
            super()._process(t, request_number, msg)
        elif t in _REFUSED_CHANGES:
            # paramiko would read as many attributes as the request announces, up to 2³².
            self._send_status(request_number, SFTP_PERMISSION_DENIED)
        elif t == CMD_EXTENDED:
            self._answer_extension(request_number, msg)
        else:
            self._send_status(request_number, SFTP_OP_UNSUPPORTED)

    def _open(self, t: int, request_number: int, msg: paramiko.Message) -> None:
        """Open a file or a folder, if the session and the supplier may have one more handle."""
        refusal = None
        if self._open_handles() >= MAX_HANDLES:
            refusal = f"A session can have {MAX_HANDLES} open handles at most."
        elif not self.server.take_handle():
            refusal = "You have too many open handles. Close some of them."
        if refusal:
            self._send_status(request_number, SFTP_FAILURE, refusal)
            return
        before = self._open_handles()
        try:
            if t == CMD_OPEN:
                path, flags = msg.get_text(), self._convert_pflags(msg.get_int())
                self._send_handle_response(request_number, self.server.open(path, flags))
            else:
                folder = self.server.open_folder(msg.get_text())
                self._send_handle_response(request_number, folder, folder=True)
        finally:
            if self._open_handles() == before:
                self.server.release_handle()

    def _read(self, request_number: int, msg: paramiko.Message) -> None:
        """Answer with bytes of a file. paramiko's own answer copies them many times."""
        opened = self.file_table.get(msg.get_binary())
        offset, length = msg.get_int64(), min(msg.get_int(), MAX_READ_BYTES)
        if not isinstance(opened, OpenFile):
            self._send_status(request_number, SFTP_BAD_MESSAGE, "Invalid handle")
            return
        head = _DATA_HEADER.size
        with data_buffer() as buffer:
            try:
                count = opened.read_into(buffer.data[head : head + length], offset)
            except (OSError, ValueError, OverflowError):
                self._send_status(request_number, SFTP_FAILURE)
                return
            if not count:
                self._send_status(request_number, SFTP_EOF)
                return
            packet_size = head - 4 + count
            _DATA_HEADER.pack_into(buffer.data, 0, packet_size, CMD_DATA, request_number, count)
            self._transport.send_data(self._channel, buffer, head + count)

    def _close(self, request_number: int, handle: bytes) -> None:
        opened = self.file_table.pop(handle, None) or self.folder_table.pop(handle, None)
        if opened is None:
            self._send_status(request_number, SFTP_BAD_MESSAGE, "Invalid handle")
            return
        self._close_handle(opened)
        self._send_status(request_number, SFTP_OK)

    def _close_handle(self, handle: paramiko.SFTPHandle) -> None:
        try:
            handle.close()
        finally:
            self.server.release_handle()

    def _answer_extension(self, request_number: int, msg: paramiko.Message) -> None:
        """Answer an extended request of :data:`EXTENSIONS`, and refuse every other."""
        tag = msg.get_text()
        if tag == "limits@openssh.com":
            # Packet, read, write, handles. 0 means that the server states no limit.
            self._reply(request_number, MAX_SFTP_PACKET_BYTES, MAX_READ_BYTES, 0, MAX_HANDLES)
        elif tag == "statvfs@openssh.com":
            status = self.server.filesystem_status(msg.get_text())
            if isinstance(status, int):
                self._send_status(request_number, status)
            else:
                self._reply(request_number, *status)
        elif tag == _RENAMES:
            self._send_status(request_number, SFTP_PERMISSION_DENIED)
        else:
            self._send_status(request_number, SFTP_OP_UNSUPPORTED)

    def _read_packet(self) -> tuple[int, bytes]:
        """Return the type and the content of the next packet. Raises ``SFTPError`` if it is too long."""
        (size,) = struct.unpack(">I", self._read_all(4))
        if not 1 <= size <= MAX_SFTP_PACKET_BYTES:
            raise paramiko.SFTPError(f"A packet has {size} bytes.")
        data = self._read_all(size)
        return data[0], data[1:]

    def _send_server_version(self) -> None:
        """Exchange versions. paramiko's own method announces ``check-file``, which is not supported."""
        kind, _ = self._read_packet()
        if kind != CMD_INIT:
            raise paramiko.SFTPError("The client does not start with its version.")
        version = paramiko.Message()
        version.add_int(SFTP_VERSION)
        for name, extension_version in EXTENSIONS:
            version.add_string(name)
            version.add_string(extension_version)
        self._send_packet(CMD_VERSION, version)

    def _send_status(self, request_number: int, code: int, desc: str | None = None) -> None:
        if code == SFTP_PERMISSION_DENIED and desc is None:
            desc = self._refusal
        super()._send_status(request_number, code, desc)

    def _reply(self, request_number: int, *numbers: int) -> None:
        self._response(request_number, CMD_EXTENDED_REPLY, *map(int64, numbers))

    def _open_handles(self) -> int:
        return len(self.file_table) + len(self.folder_table)
