"""An estimate of a file's size, before the file is requested."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Sum

from exports.file_requests import FileSpec
from exports.models import FileRequest, Status
from headend.portal.fleet_load import totals_between
from readings import frame
from readings.columns import columns_or_default
from readings.described_table import described_repository
from readings.models import Meter
from readings.window import Window

_BYTES_PER_READING = {"csv": 39.0, "jsonl": 45.0, "parquet": 33.0}
"""Measured on a day of the simulated fleet. Not used if the deployment has enough recent files."""
_BYTES_PER_READING_OF_OTHER_FORMATS = 40.0
_RECENT_FILES = 20
_MIN_READINGS = 10_000
"""With fewer readings, the headers of the files would distort the bytes per reading."""


@dataclass(frozen=True)
class FileSizeEstimate:
    """The expected number of readings and size in bytes of a file.

    ``is_upper_bound`` is true if there can be far fewer readings, because they are bounded by their arrival time.
    """

    readings: int
    size: int
    is_upper_bound: bool


def estimate_file_size(spec: FileSpec) -> FileSizeEstimate:
    """Return how many readings a file has, and about how many bytes.

    The number of readings comes from the interval totals, which can be a minute old. If these have no readings, the
    repository counts them: the totals may not be computed yet, or the window may lie within one minute. If the
    request names meters, the number is reduced in proportion to all known meters.

    Raises :class:`RepositoryUnavailableError`.
    """
    totals = totals_between(spec.start, spec.end).aggregate(readings=Sum("readings"))
    readings = totals["readings"] or _stored_readings(Window(spec.start, spec.end))
    if spec.device_ids:
        known = max(Meter.objects.count(), len(spec.device_ids))
        readings = round(readings * len(spec.device_ids) / known)
    size = round(readings * _bytes_per_reading(spec.format, spec.columns))
    return FileSizeEstimate(readings, size, is_upper_bound=spec.arrived_after is not None)


def _stored_readings(window: Window) -> int:
    return int(described_repository().snapshot().minute_counts(window)["readings"].sum())


def _bytes_per_reading(file_format: str, columns: str) -> float:
    """Return the mean of the deployment's recent files of this kind, or the measured constant."""
    files = FileRequest.objects.filter(
        status=Status.COMPLETED, format=file_format, columns=columns, record_count__gt=0
    ).order_by("-queued_at")[:_RECENT_FILES]
    sizes = [(each.size or 0, each.record_count or 0) for each in files]
    readings = sum(count for _, count in sizes)
    if readings < _MIN_READINGS:
        of_ten = _BYTES_PER_READING.get(file_format, _BYTES_PER_READING_OF_OTHER_FORMATS)
        return of_ten * len(columns_or_default(columns)) / len(frame.COLUMNS)
    return sum(size for size, _ in sizes) / readings
