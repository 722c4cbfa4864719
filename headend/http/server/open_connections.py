"""How many connections each web process of this host has open, in memory that all of them share.

The system gives a new connection to the process that is awake first. A caller's few connections can then all be in
one process, while the other has nothing to do. With these numbers, a busier process leaves a new connection to the
others for a moment.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterable
from dataclasses import dataclass

MAX_PROCESSES = 128
"""More than ``WEB_WORKERS`` may be, because an old process can end while its successor runs."""
_ABSENT = 2**64 - 1


class OpenConnections:
    """The numbers of all processes. The main process creates it, and the others inherit it when they are forked."""

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, MAX_PROCESSES * 8)).cast("Q")
        for index in range(MAX_PROCESSES):
            self._counts[index] = _ABSENT

    def place(self, taken: Iterable[Place | None]) -> Place | None:
        """Return a place that is not among ``taken``, or None if there is none."""
        used = {each.index for each in taken if each is not None}
        free = (index for index in range(MAX_PROCESSES) if index not in used)
        index = next(free, None)
        return None if index is None else Place(self._counts, index)


@dataclass(frozen=True)
class Place:
    """The number of one process, and a view of the others."""

    counts: memoryview[int]
    index: int

    def report(self, connections: int) -> None:
        """Tell the other processes how many connections this one has open."""
        self.counts[self.index] = connections

    def leave(self) -> None:
        """Tell the other processes that this one accepts no connections."""
        self.counts[self.index] = _ABSENT

    def share(self, connections: int) -> int:
        """Return how many more connections this process may accept, until it has one more than another process.

        0 means that another process has fewer than ``connections``.
        """
        fewest = min(
            (count for index, count in enumerate(self.counts) if index != self.index),
            default=_ABSENT,
        )
        return sys.maxsize if fewest == _ABSENT else max(0, fewest + 1 - connections)
