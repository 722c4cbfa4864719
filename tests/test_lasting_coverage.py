"""slipcover rewrites no code in the processes of pytest-xdist: ``tests.lasting_coverage``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.deployment import ROOT

# Both imports are those of pytest, in the same order.
PRINT_THRESHOLD = """
import tests.lasting_coverage
from slipcover import pytest_plugin
print(pytest_plugin._slipcover_instance.d_miss_threshold)
"""


@pytest.mark.starts_processes
def test_a_process_of_the_tests_is_measured_without_rewriting_code() -> None:
    measured = os.environ | {"SLIPCOVER_ENABLED": "1", "PYTEST_XDIST_WORKER": "gw0"}
    command = [sys.executable, "-W", "ignore", "-c", PRINT_THRESHOLD]
    printed = subprocess.run(
        command, env=measured, cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert printed.stdout == "1000000000\n"
