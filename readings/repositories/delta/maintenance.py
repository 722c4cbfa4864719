"""Maintenance of a Delta table: compaction, deletion of unused files, filling the day cache, meter copies."""

from __future__ import annotations

import logging
import re
import time
from datetime import date, datetime, timedelta

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from readings.repositories.delta.data_files import DataFiles, collect
from readings.repositories.delta.day_cache import (
    DayCache,
    FilesByDay,
    finished_days,
)
from readings.repositories.delta.day_summaries import summarise_days
from readings.repositories.delta.failures import reason
from readings.repositories.delta.file_counts import FileCounts
from readings.repositories.delta.file_kinds import PARTITION
from readings.repositories.delta.folder import Folder
from readings.repositories.delta.hourly_sums import COLUMNS, sum_meters_by_hour
from readings.repositories.delta.meter_copies import MeterCopies
from readings.repositories.delta.meter_copy_rows import readings_by_meter
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.window import window_of_day

log = logging.getLogger(__name__)

MAX_DAYS_SUMMED = 30
"""How many days one maintenance run sums up at most, so that other tasks get their turn."""
MAX_DAYS_COPIED = 8
"""How many days one maintenance run copies at most. A day of 14.4 million readings takes 13 s of processor time."""
QUIET_FOR = timedelta(hours=1)
"""A day is copied if no reading arrived for this long."""
_FRAME_READINGS = 1_000_000
_DATA_FILE = re.compile(rf"{PARTITION}=[^/]+/part-[^/]+\.parquet")


def delete_unused_files(folder: Folder, table: DeltaTable, keep: timedelta) -> int:
    """Delete the data files that no version of the last ``keep`` contains; return how many.

    The library lists them. It would delete every other file in the folder too, such as ``.DS_Store`` and an operator's
    notes.
    """
    hours = keep // timedelta(hours=1)
    try:
        unused = table.vacuum(retention_hours=hours, dry_run=True, full=True)
    except DeltaError as error:
        # The library cannot list a folder of another user, such as lost+found. Without `full`, it reads only the log.
        log.warning("not all unused files can be found", extra={"error": reason(error)})
        unused = table.vacuum(retention_hours=hours, dry_run=True)
    names = (name for name in unused if _DATA_FILE.fullmatch(name))
    return folder.remove_older(names, time.time() - keep.total_seconds())


def fill_minute_counts(counts: FileCounts, by_day: FilesByDay, now: datetime) -> int:
    """Cache the minute counts of finished days; return how many days were missing."""
    return counts.fill_cache({day: by_day[day] for day in finished_days(by_day, now)})


def fill_hourly_sums(
    cache: DayCache, snapshot: DeltaSnapshot, by_day: FilesByDay, now: datetime
) -> int:
    """Cache the hourly sums of finished days, newest first, at most :data:`MAX_DAYS_SUMMED`; return how many."""
    missing = _missing_days(cache, by_day, now)
    for day in missing:
        frames = snapshot.frames(
            window_of_day(day), columns=COLUMNS, frame_readings=_FRAME_READINGS
        )
        cache.store(day, by_day[day], sum_meters_by_hour(frames))
    return len(missing)


def fill_day_summaries(
    folder: Folder, cache: DayCache, counts: FileCounts, by_day: FilesByDay, now: datetime
) -> int:
    """Cache the summaries of finished days, newest first, at most :data:`MAX_DAYS_SUMMED`; return how many."""
    missing = _missing_days(cache, by_day, now)
    for day in missing:
        cache.store(day, by_day[day], collect(summarise_days(folder, {day: by_day[day]}, counts)))
    return len(missing)


def fill_meter_copies(
    copies: MeterCopies, files: DataFiles, counts: FileCounts, now: datetime
) -> int:
    """Write the meter copies of days that have ended, newest first, at most :data:`MAX_DAYS_COPIED`; return how many.

    A day that received a reading in the last :data:`QUIET_FOR` is skipped: more readings probably follow, and each of
    them makes the copy useless.
    """
    quiet = {
        day: paths
        for day, paths in files.by_day.items()
        if day < now.date() and not files.has_arrivals_after(now - QUIET_FOR, day)
    }
    missing = sorted(quiet.keys() - copies.find(quiet).keys(), reverse=True)[:MAX_DAYS_COPIED]
    for day in missing:
        copies.store(day, quiet[day], readings_by_meter(files, counts, day))
    return len(missing)


def _missing_days(cache: DayCache, by_day: FilesByDay, now: datetime) -> list[date]:
    cached = cache.find(by_day)
    missing = [day for day in finished_days(by_day, now) if day not in cached]
    return missing[:MAX_DAYS_SUMMED]
