"""Give the tests a home folder, and PostgreSQL if they run on servers.

pytest loads this module with ``-p``, before pytest-django reads the settings. Each process of pytest-xdist loads it
too: each has its own folder, and all use the PostgreSQL server of the first process, with a database for each.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

ON_SERVERS = os.environ.get("TESTS_ON") == "servers"
"""``TESTS_ON=servers``: use PostgreSQL, Valkey and S3 in place of SQLite and folders."""
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

# The first process deletes the folders of all.
home = Path(
    tempfile.mkdtemp(prefix="headend-test-", dir=os.environ["HEADEND_HOME"] if IS_WORKER else None)
)
(home / "static").mkdir()
os.environ["HEADEND_HOME"] = str(home)
# Most tests are about readings of any kind, and the reference's values are the fastest. Deployments of tests do not
# inherit this: they simulate what a new deployment does.
os.environ["SIMULATION_PROFILE"] = "uniform"
os.environ["HEADEND_ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"
# Polars and delta-rs (with Tokio) start a thread for each processor. Most frames of the tests are so small that waking
# these threads takes up to a fifth of a test's processor time. Deployments of tests do not inherit this, and the tests
# on servers have all threads.
if not ON_SERVERS:
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    os.environ.setdefault("TOKIO_WORKER_THREADS", "1")
# Without credentials, boto3 would ask the metadata service of a cloud, at an address that is not loopback.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
if not IS_WORKER:
    os.environ["TESTS_SHARED_FOLDER"] = str(home / "shared")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    if ON_SERVERS:
        from tests.services.servers import Postgres

        _postgres = Postgres(home / "postgres").start()
        atexit.register(_postgres.stop)
        os.environ["DATABASE_URL"] = _postgres.database("headend")
