"""The threads that answer requests. They are divided fairly between callers."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """The sender of a request, as far as it is known before Django verifies the request."""

    identity: str
    """The credential that the caller sent, or its address. Callers with the same identity share their turns."""
    address: str | None
    """The IPv4 address or IPv6 network of the caller, or None if only the address of a trusted proxy is known."""


PROBE = Caller("probe", None)
"""The caller of all requests to ``/health/live``. These requests have a thread of their own."""


class Work(Protocol):
    """A step of a response, which a thread runs for a caller."""

    caller: Caller

    def service(self) -> None:
        """Do the work."""


class FairThreads:
    """Runs work in threads. Identities take turns, and no identity and no address ever uses all threads.

    So a caller with many expensive requests delays its own ones, also if it invents a credential for each of them.
    waitress calls :meth:`add_task`.
    """

    def __init__(self, number: int) -> None:
        self._waiting: OrderedDict[str, deque[Work]] = OrderedDict()
        """The work of each identity."""
        self._running: Counter[str] = Counter()
        """The number of threads that each identity uses."""
        self._running_by_address: Counter[str | None] = Counter()
        self._changed = threading.Condition()
        self._ending = False
        started = _start_threads(self._serve, number + 1)
        # Without another thread, probes share the one that there is.
        self._limit = max(1, started - 1)
        self._limit_per_caller = max(1, self._limit - 1)
        """The limit of an identity, and of an address."""

    def add_task(self, work: Work) -> None:
        """Run the work as soon as its caller has a turn."""
        with self._changed:
            self._waiting.setdefault(work.caller.identity, deque()).append(work)
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
                # The difference of two counters has no zeros.
                self._running -= Counter([caller.identity])
                self._running_by_address -= Counter([caller.address])
                if self._ending:
                    self._changed.notify_all()
                else:
                    self._changed.notify()

    def _next(self) -> Work | None:
        """Wait for work and return it, or None if the threads must end."""
        with self._changed:
            while True:
                for works in self._waiting.values():
                    if self._may_run(works[0].caller):
                        return self._take(works)
                if self._ending and not self._waiting:
                    return None
                self._changed.wait()

    def _may_run(self, caller: Caller) -> bool:
        probes = self._running[PROBE.identity]
        if caller == PROBE:
            return probes < 1
        at_address = self._running_by_address[caller.address] if caller.address else 0
        return (
            self._running.total() - probes < self._limit
            and self._running[caller.identity] < self._limit_per_caller
            and at_address < self._limit_per_caller
        )

    def _take(self, works: deque[Work]) -> Work:
        work = works.popleft()
        if works:
            self._waiting.move_to_end(work.caller.identity)
        else:
            del self._waiting[work.caller.identity]
        self._running[work.caller.identity] += 1
        self._running_by_address[work.caller.address] += 1
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
