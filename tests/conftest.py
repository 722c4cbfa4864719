"""What every test shares: a home folder of its own, made before Django reads its settings."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# pytest-django loads the settings right after this file, so the environment is set at import.
os.environ["HEADEND_HOME"] = str(Path(tempfile.mkdtemp(prefix="headend-test-")))
