"""Beat starts every task at its times, also after the clock was set."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.schedules import crontab
from honcho.environ import parse_procfile
from kombu.exceptions import OperationalError

from headend.deployment import beat_scheduler
from tests.deployment import ROOT, Deployment
from tests.ports import unused_port

START = datetime(2026, 5, 1, 12, 0, 30, tzinfo=UTC)


class Machine:
    """A scheduler on a machine whose clock the test sets. Its tasks are counted instead of started."""

    def __init__(self, app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.monotonic = START, 1000.0
        self.started: Counter[str] = Counter()
        monkeypatch.setattr(app, "now", lambda: self.now)
        # CLOCK_MONOTONIC stands still while a machine sleeps, so it is not asked.
        clocks = {time.CLOCK_BOOTTIME: lambda: self.monotonic}
        monkeypatch.setattr(time, "clock_gettime", lambda clock: clocks[clock]())
        self.scheduler = beat_scheduler.Scheduler(app=app)
        monkeypatch.setattr(self.scheduler, "apply_entry", self._count)
        monkeypatch.setattr(type(self.scheduler), "producer", None)

    def _count(self, entry: Any, **_: Any) -> None:
        self.started[entry.name] += 1

    def run(self, minutes: int) -> Counter[str]:
        """Let beat run, and return how often each task was started."""
        self.started.clear()
        end = self.monotonic + 60 * minutes
        while self.monotonic < end:
            seconds = max(0.01, self.scheduler.tick())
            self.monotonic += seconds
            self.now += timedelta(seconds=seconds)
        return Counter(self.started)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine with a task every ten seconds and a task every minute."""
    with Celery("test", set_as_current=False) as app:
        app.conf.beat_schedule = {
            "recover": {"task": "recover", "schedule": 10.0},
            "arrive": {"task": "arrive", "schedule": crontab()},
            "maintenance": {"task": "maintenance", "schedule": crontab(minute="23")},
        }
        yield Machine(app, monkeypatch)


def check(started: Counter[str]) -> None:
    """Fail if a task was not started at its times in ten minutes."""
    assert 55 <= started["recover"] <= 61
    assert 9 <= started["arrive"] <= 11


@pytest.mark.parametrize(
    "steps",
    [
        [timedelta(hours=-2)],
        [timedelta(hours=2)],
        [timedelta(days=3650), timedelta(days=-3650)],
        [timedelta(days=-3650), timedelta(days=3650)],
        [timedelta(minutes=-20)] * 3,
    ],
)
def test_tasks_start_at_their_times_after_the_clock_was_set(
    machine: Machine, steps: list[timedelta]
) -> None:
    check(machine.run(10))
    for step in steps:
        machine.now += step
        check(machine.run(10))


def test_an_hourly_task_starts_at_its_minute_after_the_clock_was_set_back(machine: Machine) -> None:
    assert machine.run(60)["maintenance"] == 1
    machine.now = START - timedelta(hours=2)
    # Perhaps also at once: the time of its last start moves with the clock, to before or after its minute.
    assert machine.run(60)["maintenance"] in (1, 2)


def test_a_broker_that_cannot_be_reached_is_one_line(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused")

    scheduler = machine.scheduler
    monkeypatch.setattr(scheduler, "send_task", refuse)
    type(scheduler).apply_entry(scheduler, scheduler.schedule["recover"])
    [line] = log_lines()
    assert "connection refused" in line["error"]
    assert "exc_info" not in line


def test_the_procfile_uses_this_scheduler() -> None:
    name = f"{beat_scheduler.__name__}:{beat_scheduler.Scheduler.__name__}"
    assert f" beat --scheduler {name} " in (ROOT / "Procfile").read_text()


@pytest.mark.starts_processes
def test_beat_says_that_it_cannot_reach_the_broker(tmp_path: Path) -> None:
    """Its log lines reach standard error, although Celery redirects this stream by default."""
    broker = f"redis://127.0.0.1:{unused_port()}/0"
    deployment = Deployment(tmp_path / "home", {"CELERY_BROKER_URL": broker})
    line = parse_procfile((ROOT / "Procfile").read_text()).processes["beat"]
    with subprocess.Popen(
        [str(Path(sys.executable).parent / "celery"), *shlex.split(line)[2:]],
        cwd=ROOT,
        env=deployment.environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as beat:
        assert beat.stderr is not None
        # Without a line, the test ends when beat is killed.
        killer = threading.Timer(60, beat.kill)
        killer.start()
        first = next((line for line in beat.stderr if line.startswith("{")), "{}")
        killer.cancel()
        beat.kill()
    assert "Connection refused" in json.loads(first).get("message", "")
