"""A thread that renews a lease while the work runs."""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from django.db import DatabaseError, InterfaceError, connection

from headend.config import draining
from headend.config.database_errors import first_line

log = logging.getLogger(__name__)

RENEW_SECONDS = 1.0
"""The time between two renewals. A worker notices within this time that its work was cancelled."""


class LeaseLostError(Exception):
    """The work was cancelled or given back, or another worker has claimed it; its result is not needed."""


class LeasedWork(ABC):
    """Work on a row that this worker holds a lease on."""

    time_limit: float = math.inf
    """Seconds that the work may take."""

    @abstractmethod
    def renew(self) -> bool:
        """Renew the lease. Return False if the work was cancelled or the lease is lost."""

    @abstractmethod
    def fail(self, reason: str) -> None:
        """Record that this attempt failed, and release the lease."""

    @abstractmethod
    def give_back(self) -> None:
        """Release the lease because this process ends. Another worker can claim the work at once.

        The attempt is not a failed one.
        """

    def time_out(self) -> None:
        """Record that this attempt failed, because it takes longer than :attr:`time_limit`."""
        self.fail(f"The attempt took longer than {self.time_limit:g} s.")


class Heartbeat:
    """Renews the lease every second in its own thread, because one call of the work may take minutes.

    Used as a context manager around the work. When the time limit has passed, the thread calls
    ``work.time_out`` and stops renewing. It gives the work back if this process must end before the work is done.
    """

    def __init__(self, work: LeasedWork) -> None:
        self._work = work
        self._deadline = time.monotonic() + work.time_limit
        self._stopped = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(
            target=self._renew_until_stopped, name="heartbeat", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def check(self) -> None:
        """Raise :class:`LeaseLostError` if the lease is lost or the time limit has passed."""
        if self._lost.is_set():
            raise LeaseLostError

    def _renew_until_stopped(self) -> None:
        try:
            while not self._stopped.wait(RENEW_SECONDS):
                try:
                    renewed = self._renew()
                except (DatabaseError, InterfaceError) as error:
                    # The next renewal may succeed. If none does, the lease expires.
                    extra = {"error": first_line(error)}
                    log.warning("a lease could not be renewed", extra=extra)
                    continue
                if not renewed:
                    self._lost.set()
                    return
        finally:
            connection.close()

    def _renew(self) -> bool:
        if time.monotonic() > self._deadline:
            self._work.time_out()
            return False
        if draining.is_over():
            self._work.give_back()
            return False
        return self._work.renew()
