"""When Celery beat starts the tasks of ``readings.tasks``."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab


def beat_schedule(*, simulation: bool, timestream: bool) -> dict[str, dict[str, Any]]:
    """Return the entries for ``CELERY_BEAT_SCHEDULE``.

    ``simulation``: whether the deployment simulates a fleet. ``timestream``: whether readings are in
    Timestream. It charges for each count of readings, so the interval totals are updated less often there.
    """
    schedule: dict[str, dict[str, Any]] = {
        "maintain the repository": {
            "task": "readings.tasks.upkeep",
            "schedule": crontab(minute="23"),
        },
        "update interval totals of the last 2 hours": {
            "task": "readings.tasks.sum_up",
            "schedule": 60.0 if timestream else 30.0,
            "args": [2],
        },
        "update interval totals of the last 49 hours": {
            "task": "readings.tasks.sum_up",
            "schedule": crontab(minute="17"),
            "args": [49],
        },
        "update all interval totals": {
            "task": "readings.tasks.sum_up",
            "schedule": crontab(hour="3", minute="43") if timestream else crontab(minute="*/10"),
        },
    }
    if simulation:
        schedule["write the readings that are due"] = {
            "task": "readings.tasks.arrive",
            "schedule": crontab(),
        }
    return schedule
