"""The deployment: settings, URLs, the Celery application, the portal, and what ``make run`` starts."""

# The version is written only here. pyproject.toml and the API's schema read it.
__version__ = "1.0.0"

from headend.celery import app as celery_app

__all__ = ["__version__", "celery_app"]
