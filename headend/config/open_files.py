"""The limit of open files and connections of a process."""

from __future__ import annotations

import os
import resource
import socket
from contextlib import suppress

_DARWIN_OPEN_MAX = 10_240
"""macOS reports no hard limit, but refuses a limit above this constant."""


def raise_limit() -> None:
    """Raise this process's limit of open files to its hard limit; processes that it starts inherit it.

    Many systems start a process with a soft limit of 256 or 1,024. A few hundred clients reach it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, _DARWIN_OPEN_MAX):
        if soft == limit:
            return
        # If the system refuses both limits, the present one stays.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return


class SpareFile:
    """An open file in reserve, so that a process without free files can still refuse connections.

    A client that is neither accepted nor refused would wait until its own timeout.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self.open()

    @property
    def is_open(self) -> bool:
        """Whether there is a file to close."""
        return self._descriptor is not None

    def open(self) -> None:
        """Open the file if it is closed. If the process has no free file, it stays closed until the next call."""
        if self._descriptor is None:
            with suppress(OSError):
                self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def refuse_connection(self, listening: socket.socket) -> bool:
        """Close the file for a moment, and accept and close a connection. Return False if none can be accepted."""
        self.close()
        try:
            listening.accept()[0].close()
        except OSError:
            # For example, another thread has used the free file.
            return False
        finally:
            self.open()
        return True
