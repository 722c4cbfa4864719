"""The Celery tasks about readings. ``readings.schedule`` says when they run.

Each task keeps the name that messages carry, because a broker may still hold messages of an earlier release. The tasks
import what needs Polars when they run, so that beat starts fast and takes 40 MB less memory.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from readings.steady_clock import clock_is_steady
from readings.task_errors import in_one_line

log = logging.getLogger(__name__)

_HOURS_OF_DAY = 24


@shared_task(name="readings.tasks.arrive")
@in_one_line
def write_due_readings() -> None:
    """Write the readings of the simulated fleet that are due and not stored yet."""
    from readings.described_table import refuse_other_table
    from readings.ingest import live
    from readings.ingest.deployment_fleet import deployment_fleet
    from readings.repositories import repository

    refuse_other_table(repository())
    live.write_due_readings(deployment_fleet(), repository(), timezone.now())


@shared_task(name="readings.tasks.sum_up")
@in_one_line
def update_interval_totals(hours: int | None = None) -> None:
    """Update the interval totals of the last ``hours`` hours, or of all stored readings if it is None.

    An update of less than a day runs often. It leaves the recording of meters and the energy by customer class to the
    others, because they read all readings of the changed intervals.
    """
    from readings import class_energy, totals
    from readings.described_table import refuse_other_table
    from readings.repositories import repository

    refuse_other_table(repository())
    start = None if hours is None else timezone.now() - timedelta(hours=hours)
    reads_all = hours is None or hours > _HOURS_OF_DAY
    snapshot = repository().snapshot()
    totals.update_totals(snapshot, start, meters=reads_all)
    if reads_all:
        class_energy.update_class_energy(snapshot, start)


@shared_task(name="readings.tasks.upkeep")
@in_one_line
def maintain_repository() -> None:
    """Compact and clean up the repository. Delete readings older than ``READINGS_RETENTION_DAYS``.

    Nothing is deleted because of its age if the clock has jumped.
    """
    from readings.described_table import refuse_other_table
    from readings.ingest import live
    from readings.ingest.scratch import remove_abandoned_folders
    from readings.repositories import repository

    refuse_other_table(repository())
    may_delete, days = clock_is_steady(settings.HEADEND_HOME), settings.READINGS_RETENTION_DAYS
    if days and may_delete:
        repository().delete_before(timezone.now() - timedelta(days=days))
    done = repository().maintain(may_delete=may_delete)
    if may_delete:
        done["abandoned imports removed"] = remove_abandoned_folders(settings.HEADEND_HOME)
        live.delete_records_before(timezone.now() - live.KEEP_RECORDS)
    log.info("maintenance has ended", extra=done)
