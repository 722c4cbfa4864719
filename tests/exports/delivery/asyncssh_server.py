"""The asyncssh part of :class:`Receiver`, which imports it when it is created: it is a large package."""

from __future__ import annotations

import os
import posixpath
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh

from tests.exports.delivery.sftp_receiver import USER, Receiver


def generate_host_key() -> asyncssh.SSHKey:
    """Return a new host key."""
    return asyncssh.generate_private_key("ssh-ed25519")


async def listen(receiver: Receiver, host_key: asyncssh.SSHKey) -> asyncssh.SSHAcceptor:
    """Start a server for the receiver on a free port."""
    return await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        kex_algs=receiver.key_exchanges,
        server_factory=lambda: _Logins(receiver),
        sftp_factory=lambda channel: _Files(channel, receiver),
    )


class _Files(asyncssh.SFTPServer):
    """The files in one folder. Can close the connection during an upload, or refuse operations."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], receiver: Receiver) -> None:
        super().__init__(channel, chroot=str(receiver.folder).encode())
        self._receiver = receiver
        self._channel = channel
        self._written = 0

    def write(self, file_obj: Any, offset: int, data: bytes) -> Any:
        """Write, or close the connection after the number of bytes that the receiver sets."""
        self._written += len(data)
        limit = self._receiver.abort_after_bytes
        if limit is not None and self._written > limit:
            self._channel.get_connection().abort()
        return super().write(file_obj, offset, data)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        """Rename by OpenSSH's extension, if the receiver supports it."""
        self._receiver.renames += 1
        self._refuse("rename")
        if not self._receiver.supports_posix_rename:
            raise asyncssh.SFTPOpUnsupported("no such extension")
        return super().posix_rename(oldpath, newpath)

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        """Rename, unless the receiver refuses it."""
        self._refuse("rename")
        return super().rename(oldpath, newpath)

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> Any:
        """Create a folder, unless the receiver refuses it."""
        self._refuse("mkdir")
        return super().mkdir(path, attrs)

    def stat(self, path: bytes) -> Any:
        """Return the attributes of a file, unless the receiver refuses it."""
        self._refuse("stat")
        return super().stat(path)

    def lstat(self, path: bytes) -> Any:
        """Return the attributes of a file, unless the receiver refuses it."""
        self._refuse("stat")
        return super().lstat(path)

    def fstat(self, file_obj: object) -> Any:
        """Return the attributes of an open file, unless the receiver refuses it."""
        self._refuse("stat")
        return super().fstat(file_obj)

    def remove(self, path: bytes) -> Any:
        """Remove a file, unless the receiver refuses it."""
        self._refuse("remove")
        return super().remove(path)

    def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """List a folder, unless the receiver refuses it."""
        self._refuse("list")
        return super().scandir(path)

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        """Open a file, unless the receiver refuses its name or to overwrite it."""
        if posixpath.basename(path).startswith(b"."):
            self._refuse("dot")
        if Path(os.fsdecode(self.map_path(path))).exists():
            self._refuse("overwrite")
        return super().open(path, pflags, attrs)

    def close(self, file_obj: object) -> Any:
        """Close a file, unless the receiver refuses to store it."""
        closed = super().close(file_obj)
        self._refuse("close")
        return closed

    def _refuse(self, operation: str) -> None:
        if operation in self._receiver.refused:
            raise asyncssh.SFTPPermissionDenied(self._receiver.refusal or f"no {operation} here")


class _Logins(asyncssh.SSHServer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        if self._receiver.banner:
            self._connection.send_auth_banner(self._receiver.banner)
        if self._receiver.farewell:
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, self._receiver.farewell)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        offered = key.export_public_key().decode().split()[:2]
        return username == USER and offered == self._receiver.accepted_key.split()[:2]
