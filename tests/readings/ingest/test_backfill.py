"""``manage.py backfill``: readings of the past, written in a way that may be interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from readings.ingest import backfill
from readings.models import AwaitedInterval, IntervalTotals
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.ingest.stored_readings import all_readings
from tests.readings.new_repository import create_repository

pytestmark = pytest.mark.django_db

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
END = START + timedelta(hours=2)
FLEET = Fleet(devices=100)
SMALL = ["--devices", "100", "--start", "2023-02-27 16:00"]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("backfill", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_the_readings_of_the_fleet_in_the_window_are_stored(store: ReadingsRepository) -> None:
    output = run(*SMALL, "--end", "2023-02-27T18:00Z")
    expected = pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])
    assert all_readings(store).equals(expected)
    assert "25 intervals, 2,500 new readings, 0 already stored" in output


def test_a_backfill_sorts_the_computed_readings_and_removes_duplicates(
    store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reversed_with_a_duplicate(*arguments: Any, **options: Any) -> pl.DataFrame:
        readings = readings_for(*arguments, **options)
        return pl.concat([readings.reverse(), readings[:1]])

    monkeypatch.setattr(backfill, "readings_for", reversed_with_a_duplicate)
    run(*SMALL, "--end", "2023-02-27 18:00")
    expected = pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])
    assert all_readings(store).equals(expected)


def test_the_totals_of_the_window_are_stored_at_once(store: ReadingsRepository) -> None:
    run(*SMALL, "--end", "2023-02-27 18:00")
    totals = dict(IntervalTotals.objects.values_list("time", "readings"))
    assert totals == dict.fromkeys(FLEET.intervals(START, END), 100)


def test_a_second_run_changes_nothing(store: ReadingsRepository) -> None:
    run(*SMALL, "--end", "2023-02-27 18:00")
    before = store.snapshot().name
    assert "0 new readings, 2,500 already stored" in run(*SMALL, "--end", "2023-02-27 18:00")
    assert store.snapshot().name == before


def test_the_options_describe_the_fleet(store: ReadingsRepository) -> None:
    run(
        *["--start", "2023-02-27", "--end", "2023-02-27 01:00", "--devices", "10"],
        *["--interval", "30", "--voltage", "110", "--minimum-load", "1", "--maximum-load", "3"],
        *["--seed", "7", "--devices-per-batch", "3"],
    )
    stored = pl.concat(store.snapshot().frames(Window(datetime(2023, 2, 27, tzinfo=UTC))))
    assert len(stored) == 30
    assert stored["vltg"].to_numpy().max() <= 0.121
    assert set(stored["load"]) <= {1, 2}


def test_readings_that_have_not_arrived_yet_are_not_written(
    store: ReadingsRepository, settings: Settings
) -> None:
    now = datetime.now(UTC)
    run(
        *["--start", f"{now - timedelta(hours=30):%Y-%m-%d %H:%M}"],
        *["--devices", "200", "--late-arrivals", "--interval", "60"],
    )
    stored = pl.concat(store.snapshot().frames(Window(now - timedelta(hours=30))))
    assert (stored["arrival_time"] <= datetime.now(UTC)).all()
    counts = store.snapshot().minute_counts(Window(now - timedelta(hours=30)))["readings"]
    assert counts[0] == 200
    assert counts[-1] < 200


def test_intervals_of_which_nothing_has_arrived_are_recorded_for_the_live_fleet(
    store: ReadingsRepository,
) -> None:
    start = datetime.now(UTC) - timedelta(hours=4)
    run(
        *["--start", f"{start:%Y-%m-%d %H:%M}", "--devices", "7", "--interval", "60"],
        *["--delivery", "0,0,0,100"],
    )
    assert all_readings(store).is_empty()
    assert AwaitedInterval.objects.count() in {4, 5}


def test_an_end_in_the_future_is_replaced_by_now_with_a_warning(store: ReadingsRepository) -> None:
    today = datetime.now(UTC).date()
    output = run(
        *["--start", f"{today}", "--end", f"{today + timedelta(days=2)}"],
        *["--devices", "10", "--interval", "60"],
    )
    assert "--end is in the future. Only readings up to now are written." in output
    assert store.snapshot().day_summaries()["latest"][-1] <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--start", "soon"], "--start: 'soon' is not a date"),
        (["--start", "2023-02-27", "--end", "2023-02-26"], "--end 2023-02-26 is before --start"),
        (["--start", "2023-02-27", "--interval", "7"], "--interval: 7 is not a number of minutes"),
        (["--start", f"{date.today().year + 2}-01-01"], "--start is in the future"),
        (
            ["--start", "2999-01-01"],
            "--start: '2999-01-01' is not between 1970-01-01 and ten years",
        ),
        (["--start", "2023-02-27", "--devices", "0"], "--devices: 0 is not at least 1"),
        (
            ["--start", "2023-02-27", "--minimum-load", "30"],
            "--maximum-load: 20 is less than minimum-load, 30",
        ),
        (
            ["--start", "2023-02-27", "--shares", "shop=50"],
            "--shares: the percentages add up to 50",
        ),
    ],
)
def test_a_wrong_option_is_an_error_of_one_line(
    store: ReadingsRepository, arguments: list[str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        run(*arguments)


YEAR_2023 = Window(datetime(2023, 1, 1, tzinfo=UTC))
TWELVE_HOURS = ["--start", "2023-02-27", "--end", "2023-02-27 12:00"]
INTERVALS = 145
METERS = 20_000
"""So many that the command needs five writes."""


@dataclass
class RunningBackfill:
    """A backfill in another process, and the repository into which it writes."""

    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[str]
    store: ReadingsRepository

    def interrupt(self, number: signal.Signals) -> str:
        """Send the signal, wait for the end of the process, and return its stderr."""
        self.process.send_signal(number)
        return self.process.communicate()[1]

    def counts(self) -> list[int]:
        return self.store.snapshot().minute_counts(YEAR_2023)["readings"].to_list()


@pytest.fixture
def running(tmp_path: Path, starts_processes: None) -> Iterator[RunningBackfill]:
    """A backfill of :data:`METERS` meters in another process that has written some readings, but not all."""
    folder = tmp_path / "readings"
    # A folder that other users can read causes a warning of the command.
    folder.mkdir(mode=0o700)
    url = f"delta://{folder}"
    command = [sys.executable, "manage.py", "backfill", *TWELVE_HOURS]
    environment = os.environ | {"READINGS_URL": url, "SIMULATION_DEVICES": str(METERS)}
    store = create_repository(url)
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while store.snapshot().minute_counts(YEAR_2023).is_empty():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        yield RunningBackfill(command, environment, process, store)
        process.kill()


def test_after_a_kill_the_same_command_completes_the_backfill(running: RunningBackfill) -> None:
    running.interrupt(signal.SIGKILL)
    assert 0 < sum(running.counts()) < INTERVALS * METERS

    subprocess.run(running.command, env=running.environment, check=True, capture_output=True)
    assert running.counts() == [METERS] * INTERVALS


def test_ctrl_c_ends_with_one_line_that_says_how_to_continue(running: RunningBackfill) -> None:
    stderr = running.interrupt(signal.SIGINT)
    assert running.process.returncode == 130
    [line] = stderr.strip().splitlines()
    assert "Run the command again to continue." in line
    assert 0 < sum(running.counts()) < INTERVALS * METERS
