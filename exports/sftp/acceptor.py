"""Accepts TCP connections, also when the process can open no more files."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from headend.config.addresses import without_ipv4_mapping
from headend.config.limited_log import LimitedLog

limited_log = LimitedLog(logging.getLogger("exports.sftp"))

_NO_FREE_FILE = {errno.EMFILE, errno.ENFILE}
_PAUSE_SECONDS = 0.05
"""The pause after an error that may come again at once."""


class Acceptor:
    """The listening socket of a server.

    One open file is kept in reserve. If the limit of open files is reached, it is closed for a moment, so that the
    waiting connection can be accepted and closed. Otherwise its client would wait until its own timeout.
    """

    def __init__(self, listening: socket.socket, make_room: Callable[[], object]) -> None:
        """``make_room`` is called without free files. It closes a less important connection for the next client."""
        self._listening = listening
        self._make_room = make_room
        self._reserve: int | None = os.open(os.devnull, os.O_RDONLY)

    def __enter__(self) -> Acceptor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the socket and the reserve."""
        self._close_reserve()
        self._listening.close()

    def accept(self) -> tuple[socket.socket, str] | None:
        """Return the next connection and its address, or None after the socket's timeout or an error."""
        try:
            connection, (peer, *_) = self._listening.accept()
        except TimeoutError:
            return None
        except OSError as error:
            limited_log.warning("a connection cannot be accepted", error=str(error))
            if error.errno in _NO_FREE_FILE:
                self._refuse_one()
            return None
        self._open_reserve()
        return connection, without_ipv4_mapping(peer)

    def _refuse_one(self) -> None:
        self._make_room()
        self._close_reserve()
        try:
            refused, _ = self._listening.accept()
            refused.close()
        except OSError:
            # Another thread was faster to use the free file.
            time.sleep(_PAUSE_SECONDS)
        self._open_reserve()

    def _open_reserve(self) -> None:
        if self._reserve is None:
            with suppress(OSError):
                self._reserve = os.open(os.devnull, os.O_RDONLY)

    def _close_reserve(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
