"""The threads that answer requests. They are divided fairly between callers."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)


class Work(Protocol):
    """One step of a response, for one caller."""

    caller: str

    def service(self) -> None:
        """Do the work."""


PROBE = "probe"
"""The caller of requests whether this process is alive. They have a thread of their own."""


class FairThreads:
    """Runs work in threads. Callers take turns, and one caller never uses all threads.

    So a caller with many expensive requests delays its own ones. waitress calls :meth:`add_task`.
    """

    def __init__(self, number: int) -> None:
        self._waiting: OrderedDict[str, deque[Work]] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._ending = False
        started = _start_threads(self._serve, number + 1)
        # Without another thread, probes share the one that there is.
        self._limit = max(1, started - 1)
        self._limit_per_caller = max(1, self._limit - 1)

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
                    if self._may_run(caller):
                        return self._take(caller, works)
                if self._ending and not self._waiting:
                    return None
                self._changed.wait()

    def _may_run(self, caller: str) -> bool:
        if caller == PROBE:
            return self._running[PROBE] < 1
        others = self._running.total() - self._running[PROBE]
        return others < self._limit and self._running[caller] < self._limit_per_caller

    def _take(self, caller: str, works: deque[Work]) -> Work:
        work = works.popleft()
        if works:
            self._waiting.move_to_end(caller)
        else:
            del self._waiting[caller]
        self._running[caller] += 1
        return work


def _start_threads(target: Callable[[], None], number: int) -> int:
    """Start threads, and return how many the system allows. Raises ``RuntimeError`` if it is none."""
    for i in range(number):
        try:
            threading.Thread(target=target, name=f"web-{i}", daemon=True).start()
        except RuntimeError:
            if not i:
                raise
            log.warning("the system allows too few threads", extra={"threads": i})
            return i
    return number
