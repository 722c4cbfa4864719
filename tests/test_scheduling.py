"""The distribution of the tests among processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment import ROOT
from tests.scheduling import rank

_CRASHES_ONCE = """
from pathlib import Path
import os

def test_crashes_once():
    crashed = Path(__file__).with_name("crashed")
    if not crashed.exists():
        crashed.touch()
        os._exit(1)
"""
_WAITS_FOR_THE_CRASH = """
from pathlib import Path
import time

def test_waits():
    deadline = time.monotonic() + 60
    while not Path(__file__).with_name("crashed").exists() and time.monotonic() < deadline:
        time.sleep(0.05)

def test_next():
    pass
"""


def test_the_longest_groups_are_first(request: pytest.FixtureRequest) -> None:
    """pytest-django sorts the tests too. Its order would put the browser tests last."""
    starts_processes = [
        item.get_closest_marker("starts_processes") is not None for item in request.session.items
    ]
    ranks = [rank(item.nodeid) for item in request.session.items]
    order = [(not starts, number) for starts, number in zip(starts_processes, ranks, strict=True)]
    assert order == sorted(order)


@pytest.mark.starts_processes
def test_the_other_tests_run_after_a_process_has_crashed(tmp_path: Path) -> None:
    """The process has run most groups before. While it ran them, the other one waited in its first group."""
    (tmp_path / "conftest.py").write_text(
        "from tests.scheduling import pytest_xdist_make_scheduler\n"
    )
    (tmp_path / "test_00.py").write_text(_WAITS_FOR_THE_CRASH)
    for number in range(1, 12):
        (tmp_path / f"test_{number:02}.py").write_text("def test_passes(): pass\n")
    (tmp_path / "test_12.py").write_text(_CRASHES_ONCE)
    (tmp_path / "test_13.py").write_text("def test_passes(): pass\n")
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadscope", "--rootdir", "."]
    ended = subprocess.run(
        # slipcover measures `make test`, and would look for the project's packages in this folder.
        [*command, "-p", "no:cacheprovider", "-p", "no:django", "-p", "no:slipcover", "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 failed, 15 passed" in ended.stdout, ended.stdout + ended.stderr
    assert "crashed while running 'test_12.py::test_crashes_once'" in ended.stdout
