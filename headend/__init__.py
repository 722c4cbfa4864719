"""The deployment: settings, URLs, the Celery application, the portal, and what ``make run`` starts."""

# The version is written only here. pyproject.toml and the API's schema read it.
__version__ = "1.0.0"

import os

from headend.celery import app as celery_app

# No module of a deployment uses NumPy's linear algebra. To start its threads takes a tenth of the processor time that a
# process needs to start, and the first process of `manage.py run` must have no threads before it forks.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

__all__ = ["__version__", "celery_app"]
