"""What the processes of a deployment import when they start."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.deployment import ROOT

pytestmark = pytest.mark.starts_processes

SFTP_SERVER = "import django; django.setup(); import exports.management.commands.sftpserver"
BEAT = """
import headend.celery, headend.deployment.beat_scheduler
headend.celery.app.loader.import_default_modules()
headend.celery.app.finalize()
"""

# It forks its worker processes.
WEB_MASTER = "import headend.http.gunicorn_worker"
# No module of a deployment uses NumPy's linear algebra, so its import starts no threads.
NUMPY = "import headend, numpy"
# It forks all processes. NumPy is one of the libraries that it imports for them.
SUPERVISOR = """
import django; django.setup()
import headend.management.commands.run
from headend.deployment import programs
programs.preload()
"""


@pytest.mark.parametrize(
    ("start_up", "not_imported"),
    [
        (SFTP_SERVER, {"polars", "numpy", "deltalake"}),
        (BEAT, {"polars", "numpy", "deltalake"}),
        (WEB_MASTER, {"polars", "numpy", "deltalake"}),
        (NUMPY, {"polars", "deltalake"}),
        (SUPERVISOR, {"polars", "deltalake"}),
    ],
    ids=["sftp", "beat", "web", "numpy", "supervisor"],
)
def test_a_process_that_forks_or_needs_no_readings_starts_no_threads(
    start_up: str, not_imported: set[str]
) -> None:
    program = f"import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'headend.settings'\n{start_up}"
    check = f"""
import sys, threading
from pathlib import Path
assert not {not_imported} & set(sys.modules)
assert len(list(Path("/proc/self/task").iterdir())) == 1 == threading.active_count()
"""
    # The supervisor sets the first variable: `manage.py run` has run the checks. The second must have no effect.
    environment = os.environ | {"CELERY_SKIP_CHECKS": "true", "OPENBLAS_NUM_THREADS": "4"}
    subprocess.run([sys.executable, "-c", program + check], cwd=ROOT, env=environment, check=True)


def test_a_web_process_does_not_import_paramiko() -> None:
    # 9 MB of memory and 70 ms. Only the tests of a push target need it.
    program = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "headend.settings"
import django; django.setup()
import headend.urls
assert "paramiko" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
