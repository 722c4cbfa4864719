"""Deliver every Celery message twice, late and out of order, and once more after all work is done."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import redis

from tests.services.servers import Valkey

QUEUES = ("exports", "readings")
SENT, DELIVERED = 1, 2
"""Processes send to one database of the broker and receive from another; the duplicator moves the messages."""
_WAIT_SECONDS = 0.1
_RECONNECT_SECONDS = 0.2


class MessageDuplicator:
    """Moves messages from the database ``sent_url`` to ``delivered_url``, each one twice.

    Each copy waits up to ``max_delay`` seconds. The messages of the queue ``exports`` are also stored, until
    :meth:`deliver_again` sends them a third time. ``counted`` counts messages by what happened to them.
    While ``duplicates`` is False, it moves each message once and at once. The broker may be killed and restarted.
    """

    def __init__(
        self, broker: Valkey, *, seed: int, max_delay: float = 3.0, duplicates: bool = True
    ) -> None:
        self.duplicates = duplicates
        self.counted: Counter[str] = Counter()
        self.sent_url = broker.url.replace("/0", f"/{SENT}")
        self.delivered_url = broker.url.replace("/0", f"/{DELIVERED}")
        self._sent = redis.Redis(port=broker.port, db=SENT)
        self._delivered = redis.Redis(port=broker.port, db=DELIVERED)
        self._random = random.Random(seed)
        self._max_delay = max_delay
        self._delayed: list[tuple[float, str, bytes]] = []
        self._stored: list[tuple[str, bytes]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start a thread that moves messages."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread that moves messages. Delayed messages are not delivered."""
        self._stopped.set()
        self._thread.join()

    def deliver_again(self) -> None:
        """Deliver all stored messages once more, and return when the workers have received them."""
        for queue, message in self._stored:
            self._delivered.lpush(queue, message)
            self.counted["delivered after all work was done"] += 1
        while self._delivered.llen("exports"):
            time.sleep(0.05)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._move_messages()
            except redis.ConnectionError:
                time.sleep(_RECONNECT_SECONDS)

    def _move_messages(self) -> None:
        """Receive at most one message, and deliver those that are due."""
        popped = self._sent.brpop(QUEUES, _WAIT_SECONDS)
        if popped is not None:
            queue, message = popped
            assert isinstance(queue, bytes)
            assert isinstance(message, bytes)
            if self.duplicates:
                self._duplicate(queue.decode(), message)
            else:
                self._delivered.lpush(queue.decode(), message)
        now = time.monotonic()
        due = [entry for entry in self._delayed if entry[0] <= now]
        self._delayed = [entry for entry in self._delayed if entry[0] > now]
        self._random.shuffle(due)
        for _, queue, message in due:
            self._delivered.lpush(queue, message)
            self.counted["delivered"] += 1

    def _duplicate(self, queue: str, message: bytes) -> None:
        self.counted["sent"] += 1
        for _ in range(2):
            due_at = time.monotonic() + self._random.uniform(0, self._max_delay)
            self._delayed.append((due_at, queue, message))
        if queue == "exports":
            self._stored.append((queue, message))
