"""A supplier's own SFTP server for tests of the push, built on asyncssh. It runs in a thread."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncssh

USER = "inbox"


class Files(asyncssh.SFTPServer):
    """The files in one folder. Can close the connection during an upload, or refuse OpenSSH's extensions."""

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
        if not self._receiver.supports_posix_rename:
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
        offered = key.export_public_key().decode().split()[:2]
        return username == USER and offered == self._receiver.accepted_key.split()[:2]


class Receiver:
    """An SFTP server that accepts files into ``folder`` from the owner of ``accepted_key``."""

    def __init__(self, folder: Path, accepted_key: str) -> None:
        self.folder = folder
        self.accepted_key = accepted_key
        self.abort_after_bytes: int | None = None
        self.supports_posix_rename = True
        self.renames = 0
        self.port = 0
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()

    @property
    def host_key(self) -> str:
        """The public host key, for the push target."""
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
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(60)
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

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
