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


@pytest.mark.parametrize("start_up", [SFTP_SERVER, BEAT], ids=["sftp", "beat"])
def test_a_process_without_readings_does_not_load_polars(start_up: str) -> None:
    program = (
        f"import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'headend.settings'; {start_up.strip()}"
    )
    check = "\nimport sys; sys.exit('polars' in sys.modules or 'numpy' in sys.modules)"
    # The supervisor sets the variable: `manage.py run` has run the checks.
    environment = os.environ | {"CELERY_SKIP_CHECKS": "true"}
    subprocess.run([sys.executable, "-c", program + check], cwd=ROOT, env=environment, check=True)
