"""Accepts TCP connections, even when the process can open no more files."""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Callable
from types import TracebackType

from headend.config.addresses import without_ipv4_mapping
from headend.config.limited_log import LimitedLog
from headend.config.open_files import SpareFile

limited_log = LimitedLog(logging.getLogger("exports.sftp"))

_NO_FREE_FILE = {errno.EMFILE, errno.ENFILE}
_NO_MEMORY = {errno.ENOBUFS, errno.ENOMEM}
_PAUSE_SECONDS = 0.05
"""The pause after an error that may occur again at once."""


class Acceptor:
    """The listening socket of a server. If the process has no free file, it refuses the waiting connection."""

    def __init__(self, listening: socket.socket, make_room: Callable[[], object]) -> None:
        """``make_room`` is called without free files. It closes a less important connection for the next client."""
        self._listening = listening
        self._make_room = make_room
        self._spare_file = SpareFile()

    def __enter__(self) -> Acceptor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the socket and the spare file."""
        self._spare_file.close()
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
            elif error.errno in _NO_MEMORY:
                time.sleep(_PAUSE_SECONDS)
            return None
        self._spare_file.open()
        return connection, without_ipv4_mapping(peer)

    def _refuse_one(self) -> None:
        self._make_room()
        if not self._spare_file.refuse_connection(self._listening):
            time.sleep(_PAUSE_SECONDS)
