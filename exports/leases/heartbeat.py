"""Keeping a claim while the work behind it goes on."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from types import TracebackType

from django.db import DatabaseError, connection

log = logging.getLogger(__name__)

RENEW_SECONDS = 1.0
"""Work that was cancelled goes on for at most that long, and to the end of what it is in the middle of."""


class LeaseLostError(Exception):
    """The work was cancelled or given to another worker; nothing of it counts any more."""


class Heartbeat:
    """Renews a lease from a thread of its own, as the work may be long inside one call.

    ``renew`` says whether the lease still holds. :meth:`check` raises as soon as it did not.
    After ``limit`` seconds ``overdue`` is called, which gives the lease up.
    """

    def __init__(
        self,
        renew: Callable[[], bool],
        *,
        limit: float = math.inf,
        overdue: Callable[[], None] = lambda: None,
    ) -> None:
        self._renew = renew
        self._overdue = overdue
        self._deadline = time.monotonic() + limit
        self._stopped = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
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
        """Raise :class:`LeaseLostError` when the lease is gone."""
        if self._lost.is_set():
            raise LeaseLostError

    def _beat(self) -> None:
        try:
            while not self._stopped.wait(RENEW_SECONDS):
                try:
                    held = self._kept()
                except DatabaseError:
                    # The next beat may get through; if none does, the lease runs out by itself.
                    log.warning("a lease could not be renewed", exc_info=True)
                    continue
                if not held:
                    self._lost.set()
                    return
        finally:
            connection.close()

    def _kept(self) -> bool:
        if time.monotonic() > self._deadline:
            self._overdue()
            return False
        return self._renew()
