"""The threads that answer requests. They are divided fairly between callers."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from typing import Protocol

log = logging.getLogger(__name__)


class Work(Protocol):
    """One step of a response, for one caller."""

    caller: str

    def service(self) -> None:
        """Do the work."""


class FairThreads:
    """Runs work in threads. Callers take turns, and one caller never uses all threads.

    So a caller with many expensive requests delays its own ones. waitress calls :meth:`add_task`.
    """

    def __init__(self, number: int) -> None:
        self._per_caller = max(1, number - 1)
        self._waiting: OrderedDict[str, deque[Work]] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._ending = False
        for i in range(number):
            threading.Thread(target=self._serve, name=f"web-{i}", daemon=True).start()

    def add_task(self, work: Work) -> None:
        """Run the work as soon as its caller has a turn."""
        with self._changed:
            self._waiting.setdefault(work.caller, deque()).append(work)
            self._changed.notify()

    def end(self, seconds: float) -> None:
        """Finish the work that was added, for at most ``seconds``."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            while self._waiting or self._running:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            caller = work.caller
            try:
                work.service()
            except Exception:
                log.exception("a response was not completed")
            with self._changed:
                self._running[caller] -= 1
                # `+` drops callers without running work.
                self._running = +self._running
                self._changed.notify_all() if self._ending else self._changed.notify()

    def _next(self) -> Work | None:
        """Wait for work and return it, or None if the threads must end."""
        with self._changed:
            while True:
                for caller, works in self._waiting.items():
                    if self._running[caller] < self._per_caller:
                        return self._take(caller, works)
                if self._ending and not self._waiting:
                    return None
                self._changed.wait()

    def _take(self, caller: str, works: deque[Work]) -> Work:
        work = works.popleft()
        if works:
            self._waiting.move_to_end(caller)
        else:
            del self._waiting[caller]
        self._running[caller] += 1
        return work
