"""The Celery application: ``celery -A headend worker``, ``celery -A headend beat``."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import django
from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import (
    beat_init,
    before_task_publish,
    celeryd_init,
    task_postrun,
    task_prerun,
    worker_init,
    worker_shutting_down,
)
from django.core.exceptions import ImproperlyConfigured
from kombu.transport import TRANSPORT_ALIASES

from headend.config import draining
from headend.config.memory_arenas import limit_memory_arenas
from headend.config.open_files import raise_limit
from headend.config.private_files import create_private_files
from headend.trace import begin, current, end

_TRACE_HEADER = "headend_trace"

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headend.settings")
TRANSPORT_ALIASES["filesystem"] = "headend.deployment.filesystem_broker:Transport"
for _scheme in ("redis", "rediss"):
    TRANSPORT_ALIASES[_scheme] = "headend.deployment.valkey_broker:Transport"

app = Celery("headend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect
def _accept_root(**_: Any) -> None:
    """Hide Celery's warning about workers that run as root: messages are JSON, and containers often run as root."""
    warnings.filterwarnings("ignore", category=SecurityWarning)


@worker_init.connect
@beat_init.connect
def _prepare_process(**_: Any) -> None:
    limit_memory_arenas()
    raise_limit()
    create_private_files()


@worker_init.connect
@beat_init.connect
def _refuse_wrong_settings(**_: Any) -> None:
    """End the process if a setting is wrong. Celery itself ignores the errors of system checks."""
    django.setup()
    from headend.config.checks import refuse_wrong_settings
    from headend.config.unknown_settings import log_unknown_settings

    try:
        refuse_wrong_settings()
        log_unknown_settings()
        draining.drain_seconds()
    except ImproperlyConfigured as error:
        # Celery logs exceptions of signal handlers and continues, but lets SystemExit through.
        sys.exit(f"headend: {error}")


@worker_shutting_down.connect
def _drain(**_: Any) -> None:
    """Start the drain. Celery waits for running tasks without a limit; workers give back steps that take too long."""
    draining.begin(draining.drain_seconds())


@before_task_publish.connect
def _send_trace_id(headers: dict[str, Any], **_: Any) -> None:
    if current():
        headers[_TRACE_HEADER] = current()


@task_prerun.connect
def _begin_trace(task: Any, **_: Any) -> None:
    begin(task.request.get(_TRACE_HEADER))


@task_postrun.connect
def _end_trace(**_: Any) -> None:
    end()
