"""The programs that ``manage.py run`` runs in forked processes.

A forked process shares the memory of the modules that this process has imported, and need not import them again.
Django, Celery and the other libraries take about 50 MB and a second of processor time.
"""

from __future__ import annotations

import gc
import importlib
import os
import re
import shlex
import sys

from django.core.management import execute_from_command_line

from headend.deployment.supervision.process import Program
from headend.deployment.supervision.supervisor import environment

_SHELL_SYNTAX = re.compile(r"[;&|<>$`(){}\\*?~#\[\]\n]")
PRELOADED = (
    "axes.middleware",
    "boto3",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.thread",
    "django.contrib.auth.views",
    "django.contrib.staticfiles.storage",
    "django_htmx.middleware",
    "drf_spectacular.views",
    "gunicorn.app.wsgiapp",
    "numpy",
    "paramiko",
    "prometheus_client",
    "requests",
    "rest_framework.viewsets",
    "waitress",
    "whitenoise.middleware",
)
"""Libraries that several processes need. None of them may start a thread, because a fork does not copy threads.

Polars and deltalake start threads when they are imported. So none of our modules that import them may be listed here.
NumPy starts no threads, because :mod:`headend` sets ``OPENBLAS_NUM_THREADS``.
"""


def preload() -> None:
    """Import what forked processes share."""
    for module in PRELOADED:
        importlib.import_module(module)
    # A garbage collection writes to each object, and so would copy the shared memory.
    gc.collect()
    gc.freeze()


def program_for(command: str) -> Program | None:
    """Return what a forked process does for this command of the Procfile, or None if only a shell can run it.

    It runs gunicorn, celery and ``python -m headend``, also after ``exec`` and ``nice -n NUMBER``.
    """
    if sys.platform != "linux" or _SHELL_SYNTAX.search(command):
        return None
    words = shlex.split(command)
    if words[:1] == ["exec"]:
        del words[0]
    niceness = 0
    if words[:2] == ["nice", "-n"]:
        niceness = int(words[2])
        del words[:3]
    if words[:3] == ["python", "-m", "headend"]:
        words = words[2:]
    if not words or words[0] not in _PROGRAMS:
        return None

    def run() -> None:
        os.environ.update(environment())
        os.nice(niceness)
        sys.argv = words
        _PROGRAMS[words[0]]()

    return run


def _gunicorn() -> None:
    from gunicorn.app.wsgiapp import run

    run()


def _celery() -> None:
    from celery.__main__ import main

    main()


def _manage() -> None:
    execute_from_command_line(sys.argv)


_PROGRAMS: dict[str, Program] = {"gunicorn": _gunicorn, "celery": _celery, "headend": _manage}
