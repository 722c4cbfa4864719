"""How many connections each process of a web server has open, in memory that the processes share.

The system gives a new connection to the process that accepts first. So one process can get all connections of a
caller, while another has nothing to do. A process with more connections than another therefore waits a few
milliseconds before it accepts.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterable
from dataclasses import dataclass

MAX_PROCESSES = 128
"""Larger than the maximum of ``WEB_WORKERS``: old processes can still end while new ones run."""
_NONE = 2**64 - 1
"""The count of a process that accepts no connections."""


class OpenConnections:
    """The counts of all processes. The main process creates them, and the others inherit them when they are forked."""

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, MAX_PROCESSES * 8)).cast("Q")
        for index in range(MAX_PROCESSES):
            self._counts[index] = _NONE

    def new_count(self, used: Iterable[ConnectionCount | None]) -> ConnectionCount | None:
        """Return a count that is not among ``used``, or None if there is none."""
        taken = {each.index for each in used if each is not None}
        index = next((index for index in range(MAX_PROCESSES) if index not in taken), None)
        if index is None:
            return None
        count = ConnectionCount(self._counts, index)
        count.clear()
        return count


@dataclass(frozen=True)
class ConnectionCount:
    """The count of one process. It also reads those of the others."""

    counts: memoryview[int]
    index: int

    def report(self, connections: int) -> None:
        """Tell the other processes how many connections this one has open."""
        self.counts[self.index] = connections

    def clear(self) -> None:
        """Tell the other processes that this one accepts no connections."""
        self.counts[self.index] = _NONE

    def connections_to_accept(self, connections: int) -> int:
        """Return how many more this process can accept, until it has one more than the process with the fewest.

        ``connections`` is the number that it has. The result is 0 if another process has fewer.
        """
        fewest = min(count for index, count in enumerate(self.counts) if index != self.index)
        return sys.maxsize if fewest == _NONE else max(0, fewest + 1 - connections)
