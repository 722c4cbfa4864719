"""A scheduler for Celery beat that tolerates a clock that is set while beat runs.

Celery computes the next start of a task from the time of its last start. If the clock were set back by two hours, beat
would start nothing for two hours. So this scheduler moves the times of the last starts as far as the clock was moved.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from celery import beat

log = logging.getLogger(__name__)

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that does not change when the wall clock is set. On Linux it also counts while the machine sleeps."""
MAX_DIFFERENCE_SECONDS = 5.0
"""How much the clock may differ from the steady clock between two ticks, which are at most ten seconds apart."""


class Scheduler(beat.Scheduler):
    """The scheduler that the Procfile names. It stores nothing: a restarted beat starts each task at its next time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offset = self._clock_offset()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Start a task that is due. Return how many seconds to wait until the next call."""
        offset = self._clock_offset()
        moved, self._offset = offset - self._offset, offset
        if abs(moved) > MAX_DIFFERENCE_SECONDS:
            log.warning("the clock was set", extra={"seconds": round(moved)})
            for entry in self.schedule.values():
                last = entry.last_run_at or self.app.now()
                entry.last_run_at = last + timedelta(seconds=moved)
            # The heap has the next starts. Without a heap, the next tick computes them again.
            self._heap = None
        return float(super().tick(*args, **kwargs))

    def apply_entry(self, entry: beat.ScheduleEntry, producer: Any = None) -> None:
        """Send the message that starts a task. If the broker cannot be reached, log one line without a traceback."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except beat.SchedulingError as error:
            log.error("a task was not started", extra={"error": str(error)})

    def _clock_offset(self) -> float:
        return float(self.app.now().timestamp() - time.clock_gettime(_STEADY))
