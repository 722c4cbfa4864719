"""Which columns a table has: it gets each with the first record that has a value for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from threading import Lock

_DESCRIBED_SECONDS = 10.0
"""A missing column is looked up again after this time."""


class TableColumns:
    """The columns of one table, which ``describe`` queries."""

    def __init__(self, describe: Callable[[], Iterable[str]]) -> None:
        self._describe = describe
        self._names: frozenset[str] = frozenset()
        self._valid_until = time.monotonic()
        self._lock = Lock()

    def has(self, name: str) -> bool:
        """Return whether the table has a column. A missing one may be added up to ten seconds before it is found."""
        with self._lock:
            if name not in self._names and time.monotonic() >= self._valid_until:
                self._names = frozenset(self._describe())
                self._valid_until = time.monotonic() + _DESCRIBED_SECONDS
            return name in self._names

    def was_written_to(self) -> bool:
        """Return whether the table has readings, or had some: otherwise it has no columns that can be queried."""
        if "arrival_time" not in self._names:
            self.forget()
        return self.has("arrival_time")

    def forget(self) -> None:
        """Look up missing columns at the next call: this process may have just written the first values of some."""
        self._valid_until = time.monotonic()
