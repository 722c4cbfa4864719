"""Log lines that clients can cause as often as they like: one line a second at most."""

from __future__ import annotations

import logging
import threading
import time


class LimitedLog:
    """Writes at most one warning in ``seconds``. The next line has the number of those that were left out."""

    def __init__(self, log: logging.Logger, seconds: float = 1.0) -> None:
        self._log = log
        self._seconds = seconds
        self._next_at = 0.0
        self._left_out = 0
        self._lock = threading.Lock()

    def warning(self, message: str, **fields: object) -> None:
        """Log ``message`` with ``fields``, unless another line was written less than a second ago."""
        now = time.monotonic()
        with self._lock:
            if now < self._next_at:
                self._left_out += 1
                return
            self._next_at = now + self._seconds
            left_out, self._left_out = self._left_out, 0
        if left_out:
            fields["more"] = left_out
        self._log.warning(message, extra=fields)
