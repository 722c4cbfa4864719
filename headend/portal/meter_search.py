"""Search for meters by the beginning of their device id."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from readings.described_table import described_repository
from readings.device_ids import MAX_LENGTH, parse_device_id
from readings.feed import newest_interval
from readings.models import Meter
from readings.repositories import Snapshot
from readings.window import RESOLUTION, Window

_PART_OF_UUID = re.compile(r"[0-9A-Fa-f-]{1,36}", re.ASCII)
_UNRECORDED = timedelta(hours=2)
"""A meter that first sent a reading in this time may be missing in the table of meters."""


@dataclass(frozen=True)
class FoundMeter:
    """A meter. If it has no reading in the newest interval, ``silent_since`` is the last day with readings."""

    device_id: str
    silent_since: date | None = None


def find_meters(prefix: str, limit: int) -> list[FoundMeter]:
    """Return up to ``limit`` meters whose device id begins with ``prefix``, by device id.

    Every meter that has ever sent a reading is found. The table of meters may be an hour old, so the newest interval is
    searched too, and the last two hours for the meter whose whole id is ``prefix``. UUIDs are also found if they are
    written in capital letters.
    """
    newest = newest_interval()
    if newest is None or len(prefix) > MAX_LENGTH or not prefix.isprintable():
        return []
    snapshot = described_repository().snapshot()
    found = _find(snapshot, newest, prefix, limit)
    if not found and _PART_OF_UUID.fullmatch(prefix):
        found = _find(snapshot, newest, prefix.lower(), limit)
    return found or _find_whole(snapshot, newest, prefix)


def _find(snapshot: Snapshot, newest: datetime, prefix: str, limit: int) -> list[FoundMeter]:
    known = Meter.objects.with_prefix(prefix).order_by("device_id")[:limit]
    found = {meter.device_id: FoundMeter(meter.device_id, meter.last_day) for meter in known}
    minute = Window(newest, newest + timedelta(minutes=1) - RESOLUTION)
    for readings in snapshot.frames(minute, columns=["device_id"]):
        matches = readings["device_id"].filter(readings["device_id"].str.starts_with(prefix))
        found |= {meter: FoundMeter(meter) for meter in matches.unique().sort().head(limit)}
    return [found[meter] for meter in sorted(found)[:limit]]


def _find_whole(snapshot: Snapshot, newest: datetime, text: str) -> list[FoundMeter]:
    with suppress(ValueError):
        device_id = parse_device_id(text)
        recent = Window(newest - _UNRECORDED, newest, device_ids=(device_id,))
        if len(snapshot.hourly_means(recent)):
            return [FoundMeter(device_id)]
    return []
