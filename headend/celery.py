"""The Celery application: ``celery -A headend worker``."""

from __future__ import annotations

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headend.settings")
TRANSPORT_ALIASES["filesystem"] = "headend.broker:Transport"

app = Celery("headend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
