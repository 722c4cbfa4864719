"""Maintenance of a Delta table: compaction, deletion of unused files, filling the day cache."""

from __future__ import annotations

from datetime import datetime

from readings.repositories.delta.day_cache import DayCache, FilesByDay, finished_days
from readings.repositories.delta.file_counts import FileCounts
from readings.repositories.delta.hourly_sums import sum_meters_by_hour
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.window import window_of_day

MAX_DAYS_SUMMED = 30
"""How many days one maintenance run sums up at most, so that other tasks get their turn."""
_FRAME_READINGS = 1_000_000


def fill_minute_counts(counts: FileCounts, by_day: FilesByDay, now: datetime) -> int:
    """Cache the minute counts of finished days; return how many days were missing."""
    return counts.fill_cache({day: by_day[day] for day in finished_days(by_day, now)})


def fill_hourly_sums(
    cache: DayCache, snapshot: DeltaSnapshot, by_day: FilesByDay, now: datetime
) -> int:
    """Cache the hourly sums of finished days, newest first, at most :data:`MAX_DAYS_SUMMED`; return how many."""
    cached = cache.find(by_day)
    missing = [day for day in finished_days(by_day, now) if day not in cached]
    for day in missing[:MAX_DAYS_SUMMED]:
        frames = snapshot.frames(window_of_day(day), frame_readings=_FRAME_READINGS)
        cache.store(day, by_day[day], sum_meters_by_hour(frames))
    return len(missing[:MAX_DAYS_SUMMED])
