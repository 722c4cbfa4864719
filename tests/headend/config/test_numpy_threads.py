"""NumPy starts no threads for linear algebra, which no module uses."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.starts_processes
COUNT_THREADS = "import os, headend, numpy; print(len(os.listdir('/proc/self/task')))"


@pytest.mark.skipif(sys.platform != "linux", reason="the threads are counted in /proc")
def test_importing_numpy_starts_no_threads() -> None:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "4"}
    completed = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert completed.stdout.strip() == "1"
