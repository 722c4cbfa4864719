"""A supplier's own SFTP server for tests of the push, built on asyncssh. It runs in a thread."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

USER = "inbox"


class Receiver:
    """An SFTP server that accepts files into ``folder`` from the owner of ``accepted_key``."""

    def __init__(self, folder: Path, accepted_key: str) -> None:
        from tests.exports.delivery import asyncssh_server

        self.folder = folder
        self.accepted_key = accepted_key
        self.abort_after_bytes: int | None = None
        self.supports_posix_rename = True
        self.refused: set[str] = set()
        """What it refuses: mkdir, rename, remove, stat, list, dot (names with a leading dot), overwrite, close."""
        self.refusal = ""
        """Its message when it refuses; by default one that names the operation."""
        self.banner = ""
        """Its message before the login."""
        self.farewell = ""
        """Its message when it closes the connection instead of the login."""
        self.key_exchanges: tuple[str, ...] = ()
        """The only algorithms for the key exchange that it offers; by default all. Set it before the start."""
        self.renames = 0
        self.port = 0
        self._key = asyncssh_server.generate_host_key()
        self._loop = asyncio.new_event_loop()

    @property
    def host_key(self) -> str:
        """The public host key, for the push target."""
        return self._key.export_public_key().decode().strip()

    async def _listen(self) -> int:
        from tests.exports.delivery import asyncssh_server

        self._server = await asyncssh_server.listen(self, self._key)
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
