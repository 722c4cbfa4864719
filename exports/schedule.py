"""When Celery beat starts the tasks of ``exports.tasks``."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

from readings.schedule import with_expiry

BEAT_SCHEDULE: dict[str, dict[str, Any]] = with_expiry(
    {
        "recover lost work": {"task": "exports.tasks.recover", "schedule": 10.0},
        "remove leftovers": {"task": "exports.tasks.tidy", "schedule": 30.0},
        "expire old files": {"task": "exports.tasks.expire", "schedule": crontab(minute="7")},
        # Many short runs instead of a long one: each continues where the last one ended.
        "verify files": {
            "task": "exports.tasks.verify",
            "schedule": crontab(hour="1-4", minute="*/5"),
        },
        "verify damaged files again": {
            "task": "exports.tasks.verify_again",
            "schedule": crontab(hour="0,5-23", minute="*/5"),
        },
    }
)
