"""Up to which arrival time the stored readings are complete."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from readings.ingest import live
from readings.ingest.deployment_fleet import deployment_fleet
from readings.repositories import repository
from readings.window import RESOLUTION

WRITE_TIME = timedelta(minutes=1)
"""How long a write may take: a loaded reading gets its arrival time when its write begins."""


def settled_until(now: datetime) -> datetime:
    """Return the newest instant up to which nothing more can arrive. It is at least :data:`WRITE_TIME` ago.

    Call it before you open the snapshot that you read: then the snapshot has every reading with an arrival time up
    to this instant. Raises :class:`RepositoryUnavailableError`.
    """
    newest = now - WRITE_TIME
    if settings.SIMULATION:
        due = live.first_due_arrival(deployment_fleet(), repository(), now)
        if due is not None:
            newest = min(newest, due - RESOLUTION)
    return newest
