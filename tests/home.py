"""Gives the tests a home folder of their own; loaded by ``-p``, as pytest-django reads the settings early."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

home = Path(tempfile.mkdtemp(prefix="headend-test-"))
(home / "static").mkdir()
os.environ["HEADEND_HOME"] = str(home)
os.environ["HEADEND_ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"
