"""Search for meters by the beginning of their device id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from headend.portal.meter_readings import last_hour
from readings.feed import newest_interval
from readings.models import Meter
from readings.repositories import repository
from readings.window import Window

_WHOLE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_PART_OF_ID = re.compile(r"[0-9a-f-]{1,36}", re.ASCII)


@dataclass(frozen=True)
class FoundMeter:
    """A meter, and the last day with its readings if it has none in the newest interval."""

    device_id: str
    silent_since: date | None = None


def find_meters(prefix: str, limit: int) -> list[FoundMeter]:
    """Return up to ``limit`` meters whose device id begins with ``prefix``, by device id.

    Every meter that has ever sent a reading is found. The table of meters may be an hour old, so the newest interval is
    searched too.
    """
    newest = newest_interval()
    if newest is None or not _PART_OF_ID.fullmatch(prefix):
        return []
    known = Meter.objects.filter(device_id__startswith=prefix).order_by("device_id")[:limit]
    found = {meter.device_id: FoundMeter(meter.device_id, meter.last_day) for meter in known}
    minute = Window(newest, newest + timedelta(minutes=1) - timedelta(microseconds=1))
    for readings in repository().snapshot().frames(minute):
        matches = readings["device_id"].filter(readings["device_id"].str.starts_with(prefix))
        found |= {meter: FoundMeter(meter) for meter in matches.unique().sort().head(limit)}
    if not found and _WHOLE_ID.fullmatch(prefix) and last_hour(repository().snapshot(), prefix):
        return [FoundMeter(prefix)]
    return [found[meter] for meter in sorted(found)[:limit]]
