"""The command ``python -m benchmarks``: what decides its exit code, and that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from benchmarks.preparation import forget_settings
from benchmarks.ratio import Figure, Ratio, as_json, compare, from_json
from tests.deployment import ROOT


def test_a_ratio_compares_the_peers_duration_with_ours() -> None:
    twice_as_fast = Ratio("a page", "DuckDB", ours_seconds=0.5, peer_seconds=1.0, target=2)
    assert twice_as_fast.passed
    assert twice_as_fast.cells == ("a page", "DuckDB", "2.00 (1.00 s / 500 ms)", "≥ 2")
    assert not Ratio("a page", "DuckDB", 0.5, 0.99, 2).passed


def test_work_is_measured_alternately() -> None:
    calls: list[str] = []
    compare(
        "work", "peer", 1, lambda: calls.append("ours"), lambda: calls.append("peer"),
        rounds=2, ours_per_round=2,
    )  # fmt: skip
    assert calls == ["ours", "ours", "peer"] * 2


def test_a_figure_without_a_peer_decides_unless_it_is_a_time() -> None:
    memory = Figure("memory", 400, "MiB", 350)
    assert memory.decides
    assert not memory.passed
    assert not Figure("a page", 20, "ms", 8).decides
    assert Figure("backfill", 2.5, "million readings/s", 2, limit_is_maximum=False).passed


@pytest.mark.parametrize("row", [Ratio("a", "b", 1.0, 2.0, 2), Figure("a", 1.0, "s", 2)])
def test_a_row_survives_as_json(row: Ratio | Figure) -> None:
    assert from_json(as_json(row)) == row


@pytest.mark.starts_processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_deletes_its_folder(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "generation"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        assert "GB of disk" in output.readline()
        # The next lines follow when the folder exists.
        while "measuring generation" not in output.readline():
            pass
        os.killpg(process.pid, number)
        output.read()
    assert process.wait(60) != 0
    assert list(tmp_path.iterdir()) == []


def test_a_benchmark_ignores_the_settings_of_another_deployment() -> None:
    with patch.dict(os.environ, {"DATABASE_URL": "postgresql://real/headend", "OTHER": "stays"}):
        forget_settings()
        assert "DATABASE_URL" not in os.environ
        assert os.environ["OTHER"] == "stays"
