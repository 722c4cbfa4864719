"""Old data are deleted only if the clock has run steadily for a day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from readings import steady_clock, tasks
from readings.models import LiveArrival
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.steady_clock import ClockRecord, clock_is_steady
from tests.readings.ingest.stored_readings import all_readings

MINUTE, HOUR, DAY = (
    timedelta(minutes=1).total_seconds(),
    timedelta(hours=1).total_seconds(),
    timedelta(days=1).total_seconds(),
)
YEARS = 3 * 365 * DAY


@dataclass
class Machine:
    """A machine whose clocks the test moves."""

    time: float = 1_800_000_000.0
    uptime: float = 5000.0
    boot: str = "first"

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        self.uptime += seconds

    def restart(self, off: float) -> None:
        """Switch the machine off and on again."""
        self.time += off
        self.uptime, self.boot = 10.0, f"after {self.boot}"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The clocks that a check sees."""
    clocks = Machine()
    monkeypatch.setattr(
        ClockRecord,
        "now",
        classmethod(lambda cls: cls(clocks.time, clocks.uptime, clocks.boot)),
    )
    return clocks


@pytest.fixture
def is_steady(machine: Machine, tmp_path: Path) -> Callable[[], bool]:
    """A check, which finds the record of the check before."""
    return lambda: clock_is_steady(tmp_path)


def test_a_clock_that_runs_is_steady_even_while_no_process_checks_it(
    machine: Machine, is_steady: Callable[[], bool]
) -> None:
    assert is_steady()
    for pause in (MINUTE, HOUR, 100 * DAY):
        machine.run(pause)
        assert is_steady()


def test_after_a_jump_of_years_and_back_the_clock_is_not_steady_for_a_day(
    machine: Machine, is_steady: Callable[[], bool]
) -> None:
    is_steady()
    machine.time += YEARS
    for _ in range(3):
        assert not is_steady()
        machine.run(HOUR)
    machine.time -= YEARS
    assert not is_steady()
    machine.run(DAY - MINUTE)
    assert not is_steady()
    machine.run(MINUTE)
    assert is_steady()


@pytest.mark.parametrize("jump", [-YEARS, -2 * HOUR, -6 * MINUTE, 6 * MINUTE, 2 * HOUR])
def test_a_jump_in_either_direction_is_noticed(
    machine: Machine, is_steady: Callable[[], bool], jump: float
) -> None:
    is_steady()
    machine.run(HOUR)
    machine.time += jump
    assert not is_steady()


def test_corrections_of_a_few_minutes_are_not_a_jump(
    machine: Machine, is_steady: Callable[[], bool]
) -> None:
    is_steady()
    for correction in (-4 * MINUTE, 4 * MINUTE):
        machine.run(HOUR)
        machine.time += correction
        assert is_steady()


@pytest.mark.parametrize(
    ("off", "steady"),
    [(MINUTE, True), (14 * HOUR, True), (2 * DAY, False), (YEARS, False), (-HOUR, False)],
)
def test_the_clock_may_move_by_a_day_while_the_machine_is_off(
    machine: Machine, is_steady: Callable[[], bool], off: float, *, steady: bool
) -> None:
    is_steady()
    machine.restart(off)
    assert is_steady() is steady
    machine.run(DAY)
    assert is_steady()


def test_a_jump_is_logged_once(
    machine: Machine, is_steady: Callable[[], bool], log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    is_steady()
    machine.time += YEARS
    for _ in range(3):
        is_steady()
    [line] = log_lines()
    assert "the clock has jumped" in line["message"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"time": 1}', '{"other": 1}'])
def test_a_damaged_record_is_replaced(machine: Machine, tmp_path: Path, text: str) -> None:
    file = tmp_path / "clock.json"
    file.write_text(text)
    assert clock_is_steady(tmp_path)
    machine.time += YEARS
    assert not clock_is_steady(tmp_path)


def test_a_record_that_cannot_be_written_is_one_line(
    machine: Machine, tmp_path: Path, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    assert clock_is_steady(tmp_path / "missing")
    [line] = log_lines()
    assert "No such file" in line["error"]


def test_this_machine_has_a_clock_that_cannot_be_set() -> None:
    first, second = ClockRecord.now(), ClockRecord.now()
    assert first.boot == second.boot
    assert 0 <= second.uptime - first.uptime < HOUR
    assert first.time <= second.time


@pytest.mark.django_db
def test_maintenance_deletes_nothing_after_a_jump_of_years(
    store: ReadingsRepository,
    settings: Settings,
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.HEADEND_HOME = tmp_path
    settings.READINGS_RETENTION_DAYS = 30
    fleet, now = Fleet(devices=60), timezone.now()
    store.write(readings_for(fleet, fleet.newest_interval(now)))
    LiveArrival.objects.create(at=now, readings=60)
    tasks.maintain_repository()

    monkeypatch.setattr(timezone, "now", lambda: now + timedelta(seconds=YEARS))
    monkeypatch.setattr("time.time", lambda: machine.time)
    machine.time += YEARS
    tasks.maintain_repository()
    assert len(all_readings(store)) == 60
    assert LiveArrival.objects.count() == 1
    # A clock that has run so for a day is right: the readings are three years old.
    machine.run(steady_clock.STEADY_AFTER.total_seconds())
    tasks.maintain_repository()
    assert all_readings(store).is_empty()
    assert not LiveArrival.objects.exists()
