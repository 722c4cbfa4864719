"""A gunicorn worker that buffers requests and responses, so that slow callers occupy no thread.

gunicorn starts, watches and restarts the worker processes. Inside each of them, waitress reads whole requests and
sends whole responses in one thread; other threads run Django.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from django.conf import settings
from gunicorn.workers.base import Worker
from waitress import wasyncore

from headend.config.listening_sockets import HANDSHAKE_SECONDS
from headend.http import gunicorn_config
from headend.http.caller_address import known_caller
from headend.http.server.limits import Limits
from headend.http.server.listener import Listener
from headend.http.server.open_connections import ConnectionCount
from headend.http.server.threads import FairThreads

log = logging.getLogger(__name__)

MAX_WAIT_SECONDS = 0.5
"""How long the main thread waits for events. Deadlines are checked at least this often."""
CLEANUP_SECONDS = 1.0
"""The last part of the graceful timeout. The threads use it to record the downloads that are interrupted."""
DRAIN_IDLE_SECONDS = 5.0
"""While a process ends, it closes a connection this long after its last response.

A proxy that closes unused connections sooner never sends a request over a connection that the process is closing.
"""


class BufferingWorker(Worker):  # type: ignore[misc] # gunicorn ships no types
    """Serves the application on the sockets that gunicorn has opened."""

    count: ConnectionCount | None = None
    """The count of its open connections, which the other processes read."""

    def run(self) -> None:
        """Serve until gunicorn ends this process or has ended itself."""
        threads = FairThreads(self.cfg.threads)
        limits = Limits(
            connections=self.cfg.worker_connections,
            # gunicorn has no such setting, and drops it.
            connections_per_address=gunicorn_config.connections_per_address,
            body_bytes=settings.BODY_LIMIT,
            idle_seconds=self.cfg.keepalive,
        )
        sockets: dict[int, Any] = {}
        _Wakeup(self.PIPE[0], sockets)
        listeners = [
            Listener(
                self.wsgi,
                each.sock,
                threads,
                limits,
                sockets,
                count=self.count,
                caller_address=known_caller,
            )
            for each in self.sockets
        ]
        while (
            self.alive and self.ppid == os.getppid() and all(each.accepting for each in listeners)
        ):
            self.notify()
            serve_once(listeners, sockets)
        end(listeners, sockets, threads, self.cfg.graceful_timeout)


class _Wakeup(wasyncore.file_dispatcher):  # type: ignore[misc] # waitress ships no types
    """The pipe into which Python writes when a signal arrives."""

    def writable(self) -> bool:
        return False

    def handle_read(self) -> None:
        self.recv(4096)


def serve_once(
    listeners: list[Listener], sockets: dict[int, Any], seconds: float = MAX_WAIT_SECONDS
) -> None:
    """Wait for sockets that are ready, for ``seconds`` at most, and serve them.

    Errors are logged, and the server continues.
    """
    for listener in listeners:
        seconds = listener.limit_wait(seconds)
    try:
        wasyncore.poll2(seconds, sockets)
        for listener in listeners:
            listener.accept_noted()
            listener.close_overdue()
    except Exception:
        log.exception("an error in the main thread of the web server")
        # The same error could occur again at once.
        time.sleep(MAX_WAIT_SECONDS)


def end(
    listeners: list[Listener], sockets: dict[int, Any], threads: FairThreads, seconds: float
) -> None:
    """Accept no more connections, and serve those that exist for at most ``seconds``; then close everything.

    Every response says that the connection is closed after it. A connection without a request is closed
    :data:`DRAIN_IDLE_SECONDS` after its last response, or at once if ``seconds`` is less than that.
    """
    now = time.monotonic()
    deadline = now + seconds - CLEANUP_SECONDS
    waits_for_idle = seconds > DRAIN_IDLE_SECONDS
    for listener in listeners:
        listener.begin_drain(DRAIN_IDLE_SECONDS if waits_for_idle else 0)
    while time.monotonic() < now + HANDSHAKE_SECONDS:
        serve_once(listeners, sockets, HANDSHAKE_SECONDS / 4)
    for listener in listeners:
        listener.stop_accepting()
    while time.monotonic() < deadline and any(
        each.active_channels if waits_for_idle else each.is_busy for each in listeners
    ):
        serve_once(listeners, sockets)
    for listener in listeners:
        listener.close_connections()
    threads.end(CLEANUP_SECONDS)
