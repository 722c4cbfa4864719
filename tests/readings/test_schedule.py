"""When the tasks about readings run."""

from __future__ import annotations

import pytest

from headend.celery import app
from readings import tasks
from readings.schedule import beat_schedule


@pytest.mark.parametrize("simulation", [False, True])
@pytest.mark.parametrize("counts_for_free", [False, True])
def test_every_scheduled_task_exists(simulation: bool, counts_for_free: bool) -> None:
    app.finalize()
    for entry in beat_schedule(simulation=simulation, counts_for_free=counts_for_free).values():
        assert entry["task"] in app.tasks


def test_readings_of_the_live_fleet_are_written_only_with_the_simulation() -> None:
    live = tasks.write_due_readings.name
    assert live in {
        entry["task"] for entry in beat_schedule(simulation=True, counts_for_free=True).values()
    }
    assert live not in {
        entry["task"] for entry in beat_schedule(simulation=False, counts_for_free=True).values()
    }


def test_totals_are_updated_less_often_if_each_count_is_charged() -> None:
    free = beat_schedule(simulation=False, counts_for_free=True)
    charged = beat_schedule(simulation=False, counts_for_free=False)
    changed = {name for name, entry in free.items() if charged[name] != entry}
    assert changed == {"update interval totals of the last 2 hours", "update all interval totals"}
    newest = "update interval totals of the last 2 hours"
    assert charged[newest]["schedule"] > free[newest]["schedule"]


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
