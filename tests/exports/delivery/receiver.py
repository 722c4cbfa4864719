"""A supplier's own SFTP server, by a library that is not ours, in a thread."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncssh

USER = "inbox"


class Files(asyncssh.SFTPServer):
    """Files below one folder; can break off within an upload, or know no OpenSSH extension."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], receiver: Receiver) -> None:
        super().__init__(channel, chroot=str(receiver.folder).encode())
        self._receiver = receiver
        self._channel = channel
        self._written = 0

    def write(self, file_obj: Any, offset: int, data: bytes) -> Any:
        """Break off where the receiver says so."""
        self._written += len(data)
        limit = self._receiver.breaks_off_after
        if limit is not None and self._written > limit:
            self._channel.get_connection().abort()
        return super().write(file_obj, offset, data)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Any:
        """OpenSSH's extension, where it is known."""
        self._receiver.renames += 1
        if not self._receiver.knows_posix_rename:
            raise asyncssh.SFTPOpUnsupported("no such extension")
        return super().posix_rename(oldpath, newpath)


class _Logins(asyncssh.SSHServer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        shown = key.export_public_key().decode().split()[:2]
        return username == USER and shown == self._receiver.lets_in.split()[:2]


class Receiver:
    """Takes files below ``folder`` from whoever has the key ``lets_in``."""

    def __init__(self, folder: Path, lets_in: str) -> None:
        self.folder = folder
        self.lets_in = lets_in
        self.breaks_off_after: int | None = None
        self.knows_posix_rename = True
        self.renames = 0
        self.port = 0
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()

    @property
    def host_key(self) -> str:
        """What has to be pinned."""
        return self._key.export_public_key().decode().strip()

    async def _listen(self) -> int:
        self._server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[self._key],
            server_factory=lambda: _Logins(self),
            sftp_factory=lambda channel: Files(channel, self),
        )
        return int(self._server.get_port())

    def __enter__(self) -> Self:
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        async def close() -> None:
            self._server.close()
            await self._server.wait_closed()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
