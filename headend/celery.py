"""The Celery application: ``celery -A headend worker``."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "headend.settings")
app = Celery("headend")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
