"""The Celery application: ``celery -A headend worker``."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import before_task_publish, task_postrun, task_prerun
from kombu.transport import TRANSPORT_ALIASES

from headend.trace import begin, current, end

_TRACE = "headend_trace"

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headend.settings")
TRANSPORT_ALIASES["filesystem"] = "headend.deployment.filesystem_broker:Transport"

app = Celery("headend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@before_task_publish.connect
def _send_the_request_id_along(headers: dict[str, Any], **_: Any) -> None:
    if current():
        headers[_TRACE] = current()


@task_prerun.connect
def _go_on_under_it(task: Any, **_: Any) -> None:
    begin(task.request.get(_TRACE))


@task_postrun.connect
def _end_it(**_: Any) -> None:
    end()
