"""``manage.py backfill``: a fleet's past, written in stretches that can be cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from readings import frame
from readings.repositories import ReadingsRepository, open_repository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
END = START + timedelta(hours=2)
FLEET = Fleet(devices=100)
SMALL = ["--devices", "100", "--start", "2023-02-27 16:00"]


def everything(store: ReadingsRepository) -> pl.DataFrame:
    return pl.concat([frame.empty(), *store.snapshot().frames(Window(START))])


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("backfill", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_a_window_is_filled_with_what_the_fleet_sent(store: ReadingsRepository) -> None:
    said = run(*SMALL, "--end", "2023-02-27T18:00Z")
    sent = pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])
    assert everything(store).equals(sent)
    assert "25 intervals, 2,500 readings new, 0 there already" in said


def test_a_second_run_changes_nothing(store: ReadingsRepository) -> None:
    run(*SMALL, "--end", "2023-02-27 18:00")
    before = store.snapshot().name
    assert "0 readings new, 2,500 there already" in run(*SMALL, "--end", "2023-02-27 18:00")
    assert store.snapshot().name == before


def test_the_fleet_is_the_one_that_the_options_describe(store: ReadingsRepository) -> None:
    run(
        *["--start", "2023-02-27", "--end", "2023-02-27 01:00", "--devices", "10"],
        *["--interval", "30", "--voltage", "110", "--minimum-load", "1", "--maximum-load", "3"],
        *["--seed", "7", "--devices-per-batch", "3"],
    )
    kept = pl.concat(store.snapshot().frames(Window(datetime(2023, 2, 27, tzinfo=UTC))))
    assert len(kept) == 30
    assert kept["vltg"].max() <= 0.121  # type: ignore[operator] # a column of floats
    assert set(kept["load"]) <= {1, 2}


def test_what_has_not_arrived_yet_is_left_out(
    store: ReadingsRepository, settings: Settings
) -> None:
    now = datetime.now(UTC)
    run(
        *["--start", f"{now - timedelta(hours=30):%Y-%m-%d %H:%M}"],
        *["--devices", "100", "--late-arrivals"],
    )
    kept = pl.concat(store.snapshot().frames(Window(now - timedelta(hours=30))))
    assert (kept["arrival_time"] <= datetime.now(UTC)).all()
    counts = store.snapshot().minute_counts(Window(now - timedelta(hours=30)))["readings"]
    assert counts[0] == 100
    assert counts[-1] < 100


def test_an_end_in_the_future_is_left_out_and_that_is_said(store: ReadingsRepository) -> None:
    today = datetime.now(UTC).date()
    said = run("--start", f"{today}", "--end", f"{today + timedelta(days=2)}", "--devices", "10")
    assert "has not arrived and is left out" in said
    assert store.snapshot().day_summaries()["latest"][-1] <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--start", "soon"], "--start: 'soon' is not a date"),
        (["--start", "2023-02-27", "--end", "2023-02-26"], "--end 2023-02-26 is before --start"),
        (["--start", "2023-02-27", "--interval", "7"], "interval: 7"),
        (["--start", "2999-01-01"], "--end now is before --start"),
        (["--start", "2023-02-27", "--devices", "0"], "at least 1"),
    ],
)
def test_options_that_make_no_sense_are_one_line(
    store: ReadingsRepository, arguments: list[str], complaint: str
) -> None:
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)


YEAR_2023 = Window(datetime(2023, 1, 1, tzinfo=UTC))
A_DAY_AND_MIDNIGHT = ["--start", "2023-02-27", "--end", "2023-02-28"]


@dataclass
class CutOff:
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[str]
    store: ReadingsRepository

    def by(self, number: signal.Signals) -> str:
        """Send the signal and wait; gives what was said on stderr."""
        self.process.send_signal(number)
        return self.process.communicate()[1]

    def counts(self) -> list[int]:
        return self.store.snapshot().minute_counts(YEAR_2023)["readings"].to_list()


@pytest.fixture
def cut_off(tmp_path: Path) -> Iterator[CutOff]:
    """A backfill of 20,000 meters in a process of its own, in the middle of its work."""
    url = f"delta://{tmp_path / 'readings'}"
    command = [sys.executable, "manage.py", "backfill", *A_DAY_AND_MIDNIGHT]
    environment = os.environ | {"READINGS_URL": url, "SIMULATION_DEVICES": "20000"}
    store = open_repository(url)
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while store.snapshot().minute_counts(YEAR_2023).is_empty():
            assert process.poll() is None
            time.sleep(0.05)
        yield CutOff(command, environment, process, store)
        process.kill()


def test_a_run_that_is_killed_goes_on_where_it_was_cut_off(cut_off: CutOff) -> None:
    cut_off.by(signal.SIGKILL)
    assert 0 < sum(cut_off.counts()) < 289 * 20_000

    subprocess.run(cut_off.command, env=cut_off.environment, check=True, capture_output=True)
    assert cut_off.counts() == [20_000] * 289


def test_ctrl_c_ends_a_run_with_one_line_that_says_how_to_go_on(cut_off: CutOff) -> None:
    said = cut_off.by(signal.SIGINT)
    assert cut_off.process.returncode == 130
    [line] = said.strip().splitlines()
    assert "run it again to go on" in line
    assert 0 < sum(cut_off.counts()) < 289 * 20_000
