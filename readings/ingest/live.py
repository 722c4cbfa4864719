"""The live fleet: each interval is written when it is due, what was missed a day back included."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby

import polars as pl
from django.utils import timezone

from readings.models import LiveArrival
from readings.repositories import ReadingsRepository, Snapshot
from readings.simulation.arrivals import Arrival, arrivals_between, readings_of
from readings.simulation.fleet import Fleet
from readings.window import Window

log = logging.getLogger(__name__)

CATCH_UP = timedelta(days=1)
"""How far back a deployment that was down makes up for what it missed; `backfill` does the rest."""


def deliver_due(fleet: Fleet, store: ReadingsRepository, now: datetime) -> int:
    """Write everything that was due by ``now`` and is not kept yet; says how many readings were new."""
    total = 0
    due = arrivals_between(fleet, _delivered_until(fleet, store, now), now)
    for at, arrivals in groupby(due, key=lambda arrival: arrival.at):
        frames = list(_readings(fleet, store, arrivals))
        new = store.write(pl.concat(frames)) if frames else 0
        LiveArrival.objects.get_or_create(at=at, defaults={"readings": new})
        log.info("an interval arrived", extra={"at": at.isoformat(), "readings": new})
        total += new
    return total


def forget_old(*, keep: timedelta) -> None:
    """Drop the records of deliveries that no catching up will look at."""
    LiveArrival.objects.filter(at__lt=timezone.now() - keep).delete()


def _delivered_until(fleet: Fleet, store: ReadingsRepository, now: datetime) -> datetime:
    latest = LiveArrival.objects.values_list("at", flat=True).first()
    if latest is None:
        latest = _newest_time(store.snapshot(), now)
    if latest is None:
        latest = fleet.newest_interval(now) - fleet.interval
    return max(latest, now - CATCH_UP)


def _newest_time(snapshot: Snapshot, now: datetime) -> datetime | None:
    minutes = snapshot.counts(Window(now - CATCH_UP, now))["minute"]
    return minutes[-1] if len(minutes) else None


def _readings(
    fleet: Fleet, store: ReadingsRepository, arrivals: Iterator[Arrival]
) -> Iterator[pl.DataFrame]:
    for arrival in arrivals:
        # A late reading comes from a meter that was collected from then on: an interval
        # of which nothing is kept lies before this deployment's time.
        if not arrival.late or _is_kept(store.snapshot(), arrival.time):
            yield readings_of(fleet, arrival)


def _is_kept(snapshot: Snapshot, time: datetime) -> bool:
    return len(snapshot.counts(Window(time, time))) > 0
