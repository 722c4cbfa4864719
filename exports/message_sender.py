"""Sends messages to workers in a separate thread, because a call to a broker that hangs can take half a minute."""

from __future__ import annotations

import logging
import threading
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from celery import Task

log = logging.getLogger(__name__)

MAX_WAIT_SECONDS = 1.0
"""How long a caller waits until its messages are sent. The API promises an answer within two seconds."""


@dataclass
class _PendingMessages:
    """Messages that are not sent yet."""

    task: Task[[], None]
    count: int
    context: Context
    """The caller's context variables. They contain the trace id, which the messages carry."""
    sent: threading.Event = field(default_factory=threading.Event)


class MessageSender:
    """Sends messages without arguments. Threads may share it.

    At most one thread calls the broker. While it waits, further messages for the same task are combined.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[str, _PendingMessages] = {}
        self._thread: threading.Thread | None = None
        self._hangs = False

    def send(self, task: Task[[], None], count: int) -> None:
        """Send ``count`` messages for ``task``. Wait at most :data:`MAX_WAIT_SECONDS`, then return anyway.

        Raises nothing: errors are logged. While the broker hangs, only the first caller waits. Messages
        for the same task that wait already are not added: the larger count is sent.
        """
        with self._lock:
            pending = self._pending.setdefault(task.name, _PendingMessages(task, 0, copy_context()))
            pending.count = max(pending.count, count)
            # A fork copies no threads.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._send_all, name="message sender", daemon=True
                )
                try:
                    self._thread.start()
                except RuntimeError as error:
                    # The system has no thread left. The next caller sends these messages too.
                    self._thread = None
                    log.warning("messages are sent with the next ones", extra={"error": str(error)})
                    return
            if self._hangs:
                return
        if not pending.sent.wait(MAX_WAIT_SECONDS):
            self._hangs = True
            log.warning("the broker does not answer; the messages are sent when it answers again")

    def _send_all(self) -> None:
        """Send all messages, those of the oldest call first, and end."""
        while (pending := self._next()) is not None:
            pending.context.run(_send, pending)
            self._hangs = False
            pending.sent.set()

    def _next(self) -> _PendingMessages | None:
        with self._lock:
            if not self._pending:
                self._thread = None
                return None
            return self._pending.pop(next(iter(self._pending)))


def _send(pending: _PendingMessages) -> None:
    try:
        for _ in range(pending.count):
            pending.task.delay()
    except Exception as error:
        # Each broker's library raises its own errors. None of them may fail a request that is accepted.
        log.warning(
            "the broker cannot be reached; the work waits for the next recovery",
            extra={"error": f"{type(error).__name__}: {error}"},
        )
