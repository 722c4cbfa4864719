"""The state of each day of the table, and results of queries that are cached until that state changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from cachetools import LRUCache

Result = TypeVar("Result")

_MAX_DAYS = 2_000
"""The minute counts of a day take 70 KB."""


class DayState(NamedTuple):
    """The state of one day. It changes when readings of the day are written, or changed by ALTER, but not by merges.

    See :meth:`Statements.partitions` for the numbers. A table that was deleted and created again has another id.
    """

    newest_block: int
    blocks: int
    changes: int
    table_id: str


@dataclass(frozen=True)
class TableState:
    """The days that have readings, ascending, with the state of each."""

    days: dict[date, DayState]

    @classmethod
    def of(cls, partitions: Iterable[tuple[str, int, int, int, str]]) -> TableState:
        """Return the state from the rows of :meth:`Statements.partitions`."""
        return cls(
            {
                datetime.strptime(day, "%Y%m%d").date(): DayState(newest, blocks, changes, table_id)
                for day, newest, blocks, changes, table_id in partitions
            }
        )

    def between(
        self, first: date = date.min, last: date = date.max
    ) -> Iterator[tuple[date, DayState]]:
        """Yield the days from ``first`` to ``last``, ascending, with their states."""
        return ((day, state) for day, state in self.days.items() if first <= day <= last)


class DayResults(Generic[Result]):
    """Results of queries of whole days. A result is valid while the day has the same state."""

    def __init__(self, query: Callable[[date], Result]) -> None:
        self._query = query
        self._cache: LRUCache[date, tuple[DayState, Result]] = LRUCache(_MAX_DAYS)
        self._lock = Lock()
        self._locks: defaultdict[date, Lock] = defaultdict(Lock)

    def get(self, day: date, state: DayState) -> Result:
        """Return the result for a day. One thread queries it, and others that need the same day wait for it."""
        with self._lock:
            lock = self._locks[day]
        with lock:
            known = self._cached(day)
            if known is None or known[0] != state:
                # If readings are written meanwhile, the day's next state differs, so the result is not used again.
                known = state, self._query(day)
                with self._lock:
                    self._cache[day] = known
            return known[1]

    def known(self, day: date, state: DayState) -> Result | None:
        """Return the result for a day if it is cached and valid."""
        known = self._cached(day)
        return known[1] if known is not None and known[0] == state else None

    def clear(self) -> None:
        """Forget all results."""
        with self._lock:
            self._cache.clear()

    def _cached(self, day: date) -> tuple[DayState, Result] | None:
        with self._lock:
            return self._cache.get(day)
