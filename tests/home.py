"""Gives the tests a home folder of their own; loaded by ``-p``, as pytest-django reads the settings early."""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path

ON_SERVERS = os.environ.get("TESTS_ON") == "servers"
"""``TESTS_ON=servers``: PostgreSQL, Valkey and S3 where there are a file and folders otherwise."""

home = Path(tempfile.mkdtemp(prefix="headend-test-"))
(home / "static").mkdir()
os.environ["HEADEND_HOME"] = str(home)
os.environ["HEADEND_ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"
if ON_SERVERS:
    from tests.services.servers import Postgres

    _postgres = Postgres(home / "postgres").start()
    atexit.register(_postgres.stop)
    os.environ["DATABASE_URL"] = _postgres.database("headend")
