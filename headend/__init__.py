"""The deployment: settings, URLs, the Celery application, the portal, and what ``make run`` starts."""

# The version is written only here. pyproject.toml and the API's schema read it.
__version__ = "1.0.0"

import os

from headend.celery import app as celery_app

# No module of a deployment uses NumPy's linear algebra, so its threads are not started. They would take a tenth of the
# processor time of a process's start, and `manage.py run` must fork without threads. The import above must not import
# NumPy, which reads this variable.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

__all__ = ["__version__", "celery_app"]
