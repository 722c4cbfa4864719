"""An estimate of a file's size, before the file is requested."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum

from exports.models import FileRequest, Status
from headend.portal.fleet_load import totals_between
from readings.repositories import repository
from readings.window import Window

_BYTES_PER_READING = {"csv": 39.0, "jsonl": 45.0, "parquet": 33.0}
"""Measured on a day of the simulated fleet. A deployment's own files replace these when there are enough."""
_BYTES_PER_READING_OF_OTHER_FORMATS = 40.0
_RECENT_FILES = 20
_MIN_READINGS = 10_000
"""With fewer readings, a file's header distorts its bytes per reading."""


@dataclass(frozen=True)
class FileSizeEstimate:
    """The expected number of readings and size in bytes of a file."""

    readings: int
    size: int


def estimate_file_size(start: datetime, end: datetime, file_format: str) -> FileSizeEstimate:
    """Return how many readings a window has, and about how many bytes their file has.

    The readings are counted by the interval totals, so they can be up to a minute old. If there are none, the
    repository is counted: the totals may be missing, or the window may lie within one minute.

    Raises :class:`RepositoryUnavailableError`.
    """
    totals = totals_between(start, end).aggregate(readings=Sum("readings"))
    readings = totals["readings"] or _stored_readings(Window(start, end))
    return FileSizeEstimate(readings, round(readings * _bytes_per_reading(file_format)))


def _stored_readings(window: Window) -> int:
    return int(repository().snapshot().minute_counts(window)["readings"].sum())


def _bytes_per_reading(file_format: str) -> float:
    """Return the mean of the deployment's recent files of the format, or the measured constant."""
    files = FileRequest.objects.filter(
        status=Status.COMPLETED, format=file_format, record_count__gt=0
    ).order_by("-queued_at")[:_RECENT_FILES]
    sizes = [(each.size or 0, each.record_count or 0) for each in files]
    readings = sum(count for _, count in sizes)
    if readings < _MIN_READINGS:
        return _BYTES_PER_READING.get(file_format, _BYTES_PER_READING_OF_OTHER_FORMATS)
    return sum(size for size, _ in sizes) / readings
