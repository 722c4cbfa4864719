"""The threads that answer requests. They are divided fairly between callers."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """The sender of a request, as far as it is known before Django verifies the request."""

    identity: str
    """The credential that the caller sent, or its address. A caller can invent a new credential for each request."""
    address: str | None
    """The IPv4 address or IPv6 network of the caller, or None if only the address of a trusted proxy is known."""
    is_probe: bool = False
    """Whether the caller requests ``/health/live``. These requests have a separate thread."""

    @property
    def address_or_identity(self) -> str:
        """The address, or the identity if the address is not known."""
        return self.address or self.identity


class Work(Protocol):
    """A step of a response, which a thread runs for a caller."""

    caller: Caller

    def service(self) -> None:
        """Do the work."""


class FairThreads:
    """Runs work in threads. Callers take turns, and no caller ever uses all threads.

    So a caller with many expensive requests delays only its own requests, also if it invents a credential for each of
    them. waitress calls :meth:`add_task`.
    """

    def __init__(self, number: int) -> None:
        self._changed = threading.Condition()
        self._ending = False
        # The threads wait for this lock before they use the attributes.
        with self._changed:
            started = _start_threads(self._serve, number + 1)
            # If only one thread started, probes and requests share it.
            self._requests = _Turns(max(1, started - 1))
            self._probes = _Turns(1)

    def add_task(self, work: Work) -> None:
        """Run the work as soon as its caller has a turn."""
        with self._changed:
            self._turns_of(work.caller).add(work)
            self._changed.notify()

    def end(self, seconds: float) -> None:
        """Finish the work that was added, for at most ``seconds``."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            while any(each.waiting or each.running for each in (self._probes, self._requests)):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def _turns_of(self, caller: Caller) -> _Turns:
        return self._probes if caller.is_probe else self._requests

    def _serve(self) -> None:
        work = self._next()
        while work is not None:
            # The next request of the connection can have another caller.
            caller = work.caller
            try:
                work.service()
            except Exception:
                log.exception("a response was not completed")
            work = self._next(finished=caller)

    def _next(self, finished: Caller | None = None) -> Work | None:
        """Wait for work and return it, or None if the threads must end.

        ``finished`` is the caller whose work this thread has just done.
        """
        with self._changed:
            if finished is not None:
                self._turns_of(finished).end_work(finished)
                if self._ending:
                    self._changed.notify_all()
            while True:
                for turns in (self._probes, self._requests):
                    if (work := turns.begin_work()) is not None:
                        if finished is not None and self._can_begin_work():
                            # One end can let two begin: one waited for the identity, the other for the address.
                            self._changed.notify()
                        return work
                if self._ending and not (self._probes.waiting or self._requests.waiting):
                    return None
                self._changed.wait()

    def _can_begin_work(self) -> bool:
        return any(each.next_turn() for each in (self._probes, self._requests))


class _Turns:
    """Chooses the next work. Addresses take turns; in each turn of an address, its next identity is served.

    No address and no identity uses all threads, unless there is only one. If the address is not known, the identity
    takes its place.
    """

    def __init__(self, threads: int) -> None:
        self._limit = threads
        self._limit_per_caller = max(1, threads - 1)
        self.waiting: OrderedDict[str, OrderedDict[str, deque[Work]]] = OrderedDict()
        """The work of each identity of each address, in the order of the turns."""
        self.running: Counter[str] = Counter()
        """The number of threads that each identity uses."""
        self._running_by_address: Counter[str] = Counter()

    def add(self, work: Work) -> None:
        """Queue the work until its caller has a turn."""
        caller = work.caller
        identities = self.waiting.setdefault(caller.address_or_identity, OrderedDict())
        identities.setdefault(caller.identity, deque()).append(work)

    def next_turn(self) -> tuple[str, str] | None:
        """Return the address and the identity of the next work, or None if no waiting work can begin now."""
        if self.running.total() >= self._limit:
            return None
        for address, identities in self.waiting.items():
            if self._running_by_address[address] < self._limit_per_caller:
                for identity in identities:
                    if self.running[identity] < self._limit_per_caller:
                        return address, identity
        return None

    def begin_work(self) -> Work | None:
        """Return the work of :meth:`next_turn`, or None."""
        turn = self.next_turn()
        if turn is None:
            return None
        address, identity = turn
        identities = self.waiting[address]
        work = identities[identity].popleft()
        _end_turn(identities, identity)
        _end_turn(self.waiting, address)
        self.running[identity] += 1
        self._running_by_address[address] += 1
        return work

    def end_work(self, caller: Caller) -> None:
        """Record that a thread has finished work of this caller."""
        _count_down(self.running, caller.identity)
        _count_down(self._running_by_address, caller.address_or_identity)


def _count_down(counts: Counter[str], name: str) -> None:
    """Reduce a count by one, and remove it if it is zero: otherwise earlier callers would fill the memory."""
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def _end_turn(queue: OrderedDict[str, Any], name: str) -> None:
    """Move an entry of a queue to the end, or remove it if it is empty."""
    if queue[name]:
        queue.move_to_end(name)
    else:
        del queue[name]


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
