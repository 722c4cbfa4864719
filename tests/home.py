"""Gives the tests a home folder of their own; loaded by ``-p``, as pytest-django reads the settings early."""

from __future__ import annotations

import os
import tempfile

os.environ["HEADEND_HOME"] = tempfile.mkdtemp(prefix="headend-test-")
os.environ["HEADEND_ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"
