"""Interrupt downloads whose access was revoked, also while their client does not read.

A download checks between two blocks whether it is still allowed (:class:`DownloadResponse`). If the client reads
slowly, minutes can pass between two blocks, and the system's send buffer can hold megabytes. So a thread checks all
downloads, and resets the connections of those that are no longer allowed.
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from django.db import connection as database
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from exports.delivery.http_download import DownloadResponse, DownloadRevokedError
from headend.http.request_deadline import CONNECTION_KEY

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, with 0 seconds: the system drops what it has not sent yet."""


@dataclass(frozen=True)
class RunningDownload:
    """A download, and the connection on which it is sent."""

    response: DownloadResponse
    connection: socket.socket

    def cut_if_revoked(self) -> None:
        """Reset the connection if the download is no longer allowed."""
        try:
            self.response.body.check_if_due()
        except DownloadRevokedError:
            # The server may have closed the connection already.
            with suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                # Wakes the server, which then closes the connection.
                self.connection.shutdown(socket.SHUT_RDWR)


class RunningDownloads:
    """The downloads that this process sends. A thread watches them as long as there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._downloads: list[RunningDownload] = []
        self._is_watched = False

    def add(self, download: RunningDownload) -> None:
        """Watch a download until its response is closed."""
        with self._lock:
            self._downloads.append(download)
            if self._is_watched:
                return
            try:
                threading.Thread(target=self._watch, name="running downloads", daemon=True).start()
                self._is_watched = True
            except RuntimeError as error:
                # The download still checks between its blocks, and the next download tries to start the thread.
                log.warning("no thread watches the downloads", extra={"error": str(error)})

    def _watch(self) -> None:
        try:
            while downloads := self._still_open():
                for download in downloads:
                    try:
                        download.cut_if_revoked()
                    except Exception:
                        log.exception("cannot check whether a download is still allowed")
        finally:
            database.close()

    def _still_open(self) -> list[RunningDownload]:
        """Wait, and return the downloads that are not complete. If there are none, the next one starts a new thread."""
        time.sleep(POLL_SECONDS)
        with self._lock:
            self._downloads = [each for each in self._downloads if not each.response.closed]
            self._is_watched = bool(self._downloads)
            return list(self._downloads)


class RunningDownloadsMiddleware:
    """Passes the downloads of this process to :class:`RunningDownloads`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._running = RunningDownloads()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle the request, and watch its response if it is a download."""
        response = self._get_response(request)
        connection = request.META.get(CONNECTION_KEY)
        if isinstance(response, DownloadResponse) and connection is not None:
            self._running.add(RunningDownload(response, connection))
        return response
