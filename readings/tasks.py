"""The Celery tasks about readings: what arrives now, and the store's upkeep."""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from readings import totals
from readings.deployment_fleet import deployment_fleet
from readings.ingest import live
from readings.repositories import repository

log = logging.getLogger(__name__)


@shared_task
def arrive() -> None:
    """Bring in what the simulated fleet has sent by now."""
    live.deliver_due(deployment_fleet(), repository(), timezone.now())


@shared_task
def sum_up(hours: int | None = None) -> None:
    """Bring the interval totals up to date, of the last ``hours`` or of all that is kept."""
    start = None if hours is None else timezone.now() - timedelta(hours=hours)
    totals.bring_up_to_date(repository().snapshot(), start)


@shared_task
def upkeep() -> None:
    """Compact and clean the store; forget what is older than the deployment wants to keep."""
    days = settings.READINGS_RETENTION_DAYS
    if days:
        repository().delete_before(timezone.now() - timedelta(days=days))
    log.info("upkeep", extra=repository().upkeep())
    live.forget_old(keep=2 * live.CATCH_UP)
