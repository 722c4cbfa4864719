"""Search for meters by the beginning of their device id."""

from __future__ import annotations

from datetime import timedelta

from readings.feed import newest_interval
from readings.repositories import repository
from readings.window import Window


def find_meters(prefix: str, limit: int) -> list[str]:
    """Return up to ``limit`` device ids that begin with ``prefix``.

    Only the meters that have a reading in the newest interval are searched.
    """
    newest = newest_interval()
    if newest is None:
        return []
    minute = Window(newest, newest + timedelta(minutes=1) - timedelta(microseconds=1))
    found: list[str] = []
    for readings in repository().snapshot().frames(minute):
        matches = readings["device_id"].filter(readings["device_id"].str.starts_with(prefix))
        found += matches.unique().sort().head(limit).to_list()
    return found[:limit]
