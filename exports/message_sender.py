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
class _Order:
    """Messages that are not sent yet."""

    task: Task[[], None]
    count: int
    context: Context
    """The caller's context variables. They contain the trace id, which the messages carry."""
    sent: threading.Event = field(default_factory=threading.Event)


class MessageSender:
    """Sends messages without arguments. Threads may share it.

    At most one thread waits for the broker, and at most one order for each task waits behind it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: dict[str, _Order] = {}
        self._thread: threading.Thread | None = None
        self._hangs = False

    def send(self, task: Task[[], None], count: int) -> None:
        """Send ``count`` messages for ``task``. Wait at most :data:`MAX_WAIT_SECONDS`, then return anyway.

        Raises nothing: errors are logged. While the broker hangs, only the first caller waits. Later orders for the
        same task are one order, with the largest count.
        """
        with self._lock:
            order = self._orders.setdefault(task.name, _Order(task, 0, copy_context()))
            order.count = max(order.count, count)
            # A fork copies no threads.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._send_all, name="message sender", daemon=True
                )
                self._thread.start()
            if self._hangs:
                return
        if not order.sent.wait(MAX_WAIT_SECONDS):
            self._hangs = True
            log.warning("the broker does not answer; the messages are sent when it answers again")

    def _send_all(self) -> None:
        """Send all orders, the oldest first, and end."""
        while (order := self._next_order()) is not None:
            order.context.run(_send, order)
            self._hangs = False
            order.sent.set()

    def _next_order(self) -> _Order | None:
        with self._lock:
            if not self._orders:
                self._thread = None
                return None
            return self._orders.pop(next(iter(self._orders)))


def _send(order: _Order) -> None:
    try:
        for _ in range(order.count):
            order.task.delay()
    except Exception as error:
        # Each broker's library raises its own errors. None of them may fail a request that is accepted.
        log.warning(
            "the broker cannot be reached; the work waits for the next recovery",
            extra={"error": f"{type(error).__name__}: {error}"},
        )
