"""When the tasks about readings run."""

from __future__ import annotations

import pytest

from headend.celery import app
from readings import tasks
from readings.schedule import beat_schedule


@pytest.mark.parametrize("simulation", [False, True])
@pytest.mark.parametrize("timestream", [False, True])
def test_every_scheduled_task_exists(simulation: bool, timestream: bool) -> None:
    app.finalize()
    for entry in beat_schedule(simulation=simulation, timestream=timestream).values():
        assert entry["task"] in app.tasks


def test_readings_of_the_live_fleet_are_written_only_with_the_simulation() -> None:
    live = tasks.write_due_readings.name
    assert live in {
        entry["task"] for entry in beat_schedule(simulation=True, timestream=False).values()
    }
    assert live not in {
        entry["task"] for entry in beat_schedule(simulation=False, timestream=False).values()
    }


def test_the_tasks_keep_the_names_that_queued_messages_of_earlier_releases_carry() -> None:
    names = [
        task.name
        for task in (
            tasks.write_due_readings,
            tasks.update_interval_totals,
            tasks.maintain_repository,
        )
    ]
    assert names == ["readings.tasks.arrive", "readings.tasks.sum_up", "readings.tasks.upkeep"]
