"""When Celery beat starts the tasks of ``readings.tasks``."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

MESSAGE_SECONDS = 600
"""A worker discards older messages of the schedule, so that they do not pile up while all workers are busy.

The clocks of two hosts may differ by less than this.
"""
RARE_MESSAGE_SECONDS = 3000
"""The same for tasks that run once an hour or once a day: their next run is an hour or a day later."""


def with_expiry(schedule: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the entries of a schedule with messages that expire.

    They expire after :data:`MESSAGE_SECONDS`, or for rare tasks after :data:`RARE_MESSAGE_SECONDS`.
    """
    return {
        name: {**entry, "options": {"expires": _expiry(entry["schedule"])}}
        for name, entry in schedule.items()
    }


def _expiry(schedule: Any) -> int:
    """Return the expiry for a crontab, or for a number of seconds. A crontab's ``minute`` is a set."""
    is_rare = len(getattr(schedule, "minute", ())) == 1
    return RARE_MESSAGE_SECONDS if is_rare else MESSAGE_SECONDS


def beat_schedule(*, simulation: bool, counts_for_free: bool) -> dict[str, dict[str, Any]]:
    """Return the entries for ``CELERY_BEAT_SCHEDULE``.

    ``simulation``: whether the deployment simulates a fleet. ``counts_for_free``: the capability of the engine. If
    each count of readings is charged, the interval totals are updated less often.
    """
    schedule: dict[str, dict[str, Any]] = {
        "maintain the repository": {
            "task": "readings.tasks.upkeep",
            "schedule": crontab(minute="23"),
        },
        "update interval totals of the last 2 hours": {
            "task": "readings.tasks.sum_up",
            "schedule": 30.0 if counts_for_free else 60.0,
            "args": [2],
        },
        "update interval totals of the last 49 hours": {
            "task": "readings.tasks.sum_up",
            "schedule": crontab(minute="17"),
            "args": [49],
        },
        "update all interval totals": {
            "task": "readings.tasks.sum_up",
            "schedule": crontab(minute="*/10")
            if counts_for_free
            else crontab(hour="3", minute="43"),
        },
    }
    if simulation:
        schedule["write the readings that are due"] = {
            "task": "readings.tasks.arrive",
            "schedule": crontab(),
        }
    return with_expiry(schedule)
