"""A limit for log lines that clients can cause again and again."""

from __future__ import annotations

import logging
import threading
import time


class LimitedLog:
    """Writes at most one warning in ``seconds``, and counts those that it drops."""

    def __init__(self, log: logging.Logger, seconds: float = 1.0) -> None:
        self._log = log
        self._seconds = seconds
        self._next_at = 0.0
        self._dropped = 0
        self._lock = threading.Lock()

    def warning(self, message: str, **fields: object) -> None:
        """Log ``message`` with ``fields``, unless this log wrote any line in the last ``seconds``.

        The field ``more`` is the number of lines dropped since then.
        """
        now = time.monotonic()
        with self._lock:
            if now < self._next_at:
                self._dropped += 1
                return
            self._next_at = now + self._seconds
            dropped, self._dropped = self._dropped, 0
        if dropped:
            fields["more"] = dropped
        self._log.warning(message, extra=fields)
