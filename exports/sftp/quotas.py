"""Limits the connections, sessions and handles of each supplier in one SFTP process."""

from __future__ import annotations

import threading
from collections import Counter

from headend.config.sftp_limits import SftpLimits


class Quota:
    """Counts one kind of thing: in total, and for each supplier. Safe to use in several threads."""

    def __init__(self, total: int, per_supplier: int) -> None:
        self.per_supplier = per_supplier
        self._total = total
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    def take(self, supplier_id: int) -> bool:
        """Count one more of the supplier's, or return false if that would exceed a limit."""
        with self._lock:
            is_free = (
                self._taken.total() < self._total and self._taken[supplier_id] < self.per_supplier
            )
            if is_free:
                self._taken[supplier_id] += 1
            return is_free

    def release(self, supplier_id: int) -> None:
        """Count one less of the supplier's."""
        with self._lock:
            self._taken[supplier_id] -= 1
            if not self._taken[supplier_id]:
                del self._taken[supplier_id]

    def taken(self, supplier_id: int) -> int:
        """Return how many the supplier has."""
        return self._taken[supplier_id]


class Quotas:
    """The quotas of one SFTP process."""

    def __init__(self, limits: SftpLimits) -> None:
        # Logged-in suppliers never use the connections that are reserved for logins.
        logged_in = max(1, limits.connections - limits.connections_without_login)
        self.connections = Quota(logged_in, limits.connections_per_supplier)
        self.sessions = Quota(limits.sessions, limits.sessions_per_supplier)
        self.handles = Quota(limits.handles, limits.handles_per_supplier)
