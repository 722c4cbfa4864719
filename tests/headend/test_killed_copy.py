"""A killed ``manage.py store copy`` continues when it is started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from readings.instants import FIRST_INSTANT
from readings.repositories import open_repository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.new_repository import create_repository

pytestmark = pytest.mark.starts_processes
DAYS = 40
EVERYTHING = Window(FIRST_INSTANT)


def all_readings(folder: Path) -> pl.DataFrame:
    return pl.concat(open_repository(f"delta://{folder}").snapshot().frames(EVERYTHING))


def test_a_killed_copy_continues_with_the_first_day_that_is_not_verified(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    fleet, first = Fleet(devices=500), datetime(2023, 1, 1, tzinfo=UTC)
    create_repository(f"delta://{source}").write(
        pl.concat(readings_for(fleet, first + timedelta(days=day)) for day in range(DAYS))
    )
    create_repository(f"delta://{target}")
    command = [
        sys.executable, "manage.py", "store", "copy", f"delta://{source}", f"delta://{target}",
    ]  # fmt: skip
    environment = os.environ | {"HEADEND_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not any(file.read_text() for file in tmp_path.glob("copy-*.jsonl")):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.kill()
    [record] = tmp_path.glob("copy-*.jsonl")
    verified = record.read_text().count("\n")

    ended = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert f"{DAYS - verified} days copied and compared" in ended.stdout
    assert_frame_equal(all_readings(target), all_readings(source))
    assert record.read_text().count("\n") >= DAYS
