"""The deployment as a whole: settings, URLs, the Celery application, what `make run` starts."""

from headend.celery import app as celery_app

__all__ = ["celery_app"]
