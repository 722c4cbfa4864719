"""Search for meters by the beginning of their device id."""

from __future__ import annotations

import re
from datetime import timedelta

from headend.portal.meter_readings import last_hour
from readings.feed import newest_interval
from readings.repositories import repository
from readings.window import Window

_WHOLE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def find_meters(prefix: str, limit: int) -> list[str]:
    """Return up to ``limit`` device ids that begin with ``prefix``.

    The meters that have a reading in the newest interval are searched, and the meter that has ``prefix`` as its
    whole id, however long it has been silent.
    """
    newest = newest_interval()
    if newest is None:
        return []
    minute = Window(newest, newest + timedelta(minutes=1) - timedelta(microseconds=1))
    found: list[str] = []
    for readings in repository().snapshot().frames(minute):
        matches = readings["device_id"].filter(readings["device_id"].str.starts_with(prefix))
        found += matches.unique().sort().head(limit).to_list()
    if not found and _WHOLE_ID.fullmatch(prefix) and last_hour(repository().snapshot(), prefix):
        return [prefix]
    return found[:limit]
