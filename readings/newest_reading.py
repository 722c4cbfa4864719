"""The newest reading of one meter."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from readings import frame
from readings.models import Meter
from readings.repositories import Snapshot
from readings.window import Window


def newest_reading(snapshot: Snapshot, device_id: str) -> dict[str, Any] | None:
    """Return the columns of ``frame.FULL_SCHEMA`` of the meter's newest reading, or None if it never sent one."""
    last = _last_time(snapshot, device_id)
    if last is None:
        return None
    window = Window(last, last, (device_id,))
    page = snapshot.page(window, offset=0, size=1, columns=frame.FULL_COLUMNS)
    return next(page.readings.iter_rows(named=True), None)


def _last_time(snapshot: Snapshot, device_id: str) -> datetime | None:
    recorded = Meter.objects.filter(device_id=device_id).first()
    if recorded is not None:
        # The reading is seldom more than two hours after this time. So few readings are searched.
        found = snapshot.last_times(Window(recorded.last_time, device_ids=(device_id,)))
    if recorded is None or found.is_empty():
        found = snapshot.meter_summaries([device_id])
    return max(found["last"], default=None)
