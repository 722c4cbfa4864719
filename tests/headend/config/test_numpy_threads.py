"""NumPy starts no threads for linear algebra, which no module uses."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.starts_processes
COUNT_THREADS = "import os, headend, numpy; print(len(os.listdir('/proc/self/task')))"


@pytest.mark.skipif(sys.platform != "linux", reason="the threads are counted in /proc")
def test_a_process_has_one_thread_after_the_import() -> None:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "4"}
    answer = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.strip() == "1"
