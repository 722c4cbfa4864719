"""``python -m benchmarks.growth`` stores the points of each quantity, and leaves no file when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import growth
from benchmarks.ratio import Point
from tests.deployment import ROOT

START_SECONDS, END_SECONDS = 120, 120


def run(monkeypatch: pytest.MonkeyPatch, points: list[Point], *arguments: str, ok: bool) -> int:
    """Run the command, with these points in place of a measurement. The environment of the tests does not change."""
    monkeypatch.setattr(growth, "clean_up_after_sigterm", lambda: None)
    monkeypatch.setattr(growth, "forget_settings", lambda: None)
    monkeypatch.setattr(growth, "measure_in_own_process", lambda *_: (points, ok))
    monkeypatch.setattr(sys, "argv", ["growth", *arguments])
    return growth.main()


def test_only_the_points_of_a_quantity_that_was_measured_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "growth.json"
    output = ["--output", str(file)]
    old, new = ([Point("a page", "ms", size, value) for size in (5, 10)] for value in (1.0, 2.0))
    assert run(monkeypatch, old, "meters", *output, ok=True) == 0
    assert run(monkeypatch, new, "readings", *output, ok=True) == 0
    assert run(monkeypatch, new[:1], "meters", *output, ok=False) == 1
    curves = {name: stored["curves"] for name, stored in json.loads(file.read_text()).items()}
    assert curves == {
        "meters": [{"what": "a page", "unit": "ms", "points": [[5, 1.0], [10, 1.0]]}],
        "readings": [{"what": "a page", "unit": "ms", "points": [[5, 2.0], [10, 2.0]]}],
    }


def test_the_largest_size_is_measured_too_and_larger_ones_are_not() -> None:
    readings = growth.QUANTITIES["readings"]
    assert readings.sizes_up_to(10**8) == [10**6, 10**7, 10**8]
    assert readings.sizes_up_to(20_000_000) == [10**6, 10**7, 20_000_000]
    assert readings.sizes_up_to(50_000) == [50_000]


@pytest.mark.starts_processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_benchmark_prints_its_needs_and_deletes_its_folder(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    output = tmp_path / "growth.json"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "benchmarks.growth", "readings", "--largest", "10000000",
            "--output", str(output),
        ],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while not list(folder.glob("*/home/*.sqlite3")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, number)
        printed, _ = process.communicate(timeout=END_SECONDS)
    finally:
        process.kill()
    assert process.returncode not in (0, -signal.SIGKILL)
    assert printed.startswith("needs 0.6 GB of disk in ")
    assert list(folder.iterdir()) == []
    assert not output.exists()
