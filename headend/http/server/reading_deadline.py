"""How long a caller may take to read a response."""

from __future__ import annotations

from headend.http.server.limits import Limits


class ReadingDeadline:
    """Measures the time in which a caller has something to read.

    The clock stops while the caller has read everything and the application computes the next block. The allowed time
    depends on the size of the response. Reading slowly does not extend it.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0
        self._seconds = 0.0
        """The time in which the caller had something to read, before :attr:`_unread_since`."""
        self._unread_since: float | None = None

    def add(self, size: int) -> None:
        """Allow the time for more bytes of the response."""
        self._bytes += size

    def update(self, now: float, *, is_unread: bool) -> None:
        """Note whether the caller has something to read from now on."""
        self._seconds = self._seconds_until(now)
        self._unread_since = now if is_unread else None

    def is_over(self, now: float) -> bool:
        """Return whether the caller has taken longer than allowed."""
        slowest = self._bytes / self._limits.response_bytes_per_second
        return self._seconds_until(now) > self._limits.response_seconds + slowest

    def _seconds_until(self, now: float) -> float:
        return self._seconds + (0 if self._unread_since is None else now - self._unread_since)
