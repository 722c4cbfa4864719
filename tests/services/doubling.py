"""Trouble: every message comes twice, out of order, some of them long after all is done."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import redis

from tests.services.servers import Valkey

QUEUES = ("exports", "readings")
SENT, DELIVERED = 1, 2
"""Members send to one of the broker's databases and read from another; what is between is ours."""


class Doubling:
    """Takes what was sent and delivers it twice, late; a share only when it is told to."""

    def __init__(self, broker: Valkey, *, seed: int, most_late: float = 3.0) -> None:
        self.counted: Counter[str] = Counter()
        self.sent_url = broker.url.replace("/0", f"/{SENT}")
        self.delivered_url = broker.url.replace("/0", f"/{DELIVERED}")
        self._sent = redis.Redis(port=broker.port, db=SENT)
        self._delivered = redis.Redis(port=broker.port, db=DELIVERED)
        self._draw = random.Random(seed)
        self._most_late = most_late
        self._waiting: list[tuple[float, str, bytes]] = []
        self._kept: list[tuple[str, bytes]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def start(self) -> None:
        """Begin to carry."""
        self._thread.start()

    def stop(self) -> None:
        """Carry no more."""
        self._stopped.set()
        self._thread.join()

    def deliver_what_was_kept(self) -> None:
        """An hour later, as far as anybody who takes a message can tell; returns when all are taken."""
        for queue, message in self._kept:
            self._delivered.lpush(queue, message)
            self.counted["after all was done"] += 1
        while self._delivered.llen("exports"):
            time.sleep(0.05)

    def _carry(self) -> None:
        while not self._stopped.is_set():
            for queue in QUEUES:
                message = self._sent.rpop(queue)
                if isinstance(message, bytes):
                    self._take(queue, message)
            now = time.monotonic()
            due = [entry for entry in self._waiting if entry[0] <= now]
            self._waiting = [entry for entry in self._waiting if entry[0] > now]
            self._draw.shuffle(due)
            for _, queue, message in due:
                self._delivered.lpush(queue, message)
                self.counted["delivered"] += 1
            time.sleep(0.01)

    def _take(self, queue: str, message: bytes) -> None:
        self.counted["sent"] += 1
        for _ in range(2):
            late = time.monotonic() + self._draw.uniform(0, self._most_late)
            self._waiting.append((late, queue, message))
        if queue == "exports":
            self._kept.append((queue, message))
