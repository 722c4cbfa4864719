"""Copying a day into a repository that shows new readings with a delay."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from readings.copying.copy_days import CopiedDay, DayCopier
from readings.copying.progress_record import progress_record
from readings.instants import FIRST_INSTANT
from readings.repositories import Extract, open_repository
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.new_repository import create_repository

TIME = datetime(2023, 2, 27, 16, tzinfo=UTC)


class SlowRepository(DeltaRepository):
    """A repository that shows only what was stored when it was opened, for a number of reads."""

    def __init__(self, path: str, hidden_reads: int) -> None:
        super().__init__(path)
        self._old = self.snapshot()
        self.hidden_reads = hidden_reads

    def create_extract(self, window: Window, key: str) -> Extract:
        self.hidden_reads -= 1
        return self._old if self.hidden_reads >= 0 else super().create_extract(window, key)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of the copy, which take no time."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def copy_the_day(folder: Path, target: SlowRepository, *, waits: bool) -> CopiedDay:
    source_url = f"delta://{folder}/source"
    create_repository(source_url).write(readings_for(Fleet(devices=20), TIME))
    with progress_record(folder, "copy-1") as record:
        copier = DayCopier(
            open_repository(source_url), target, record, key="copy", waits=waits, versions=False
        )
        [day], _ = copier.days(Window(FIRST_INSTANT))
        copied = copier.copy(day, lambda _: None)
        recorded = bool((folder / next(folder.glob("copy-*.jsonl"))).read_text())
    assert recorded == (copied.difference is None)
    return copied


def test_the_copy_waits_for_readings_that_are_not_visible_yet(
    tmp_path: Path, pauses: list[float]
) -> None:
    target = SlowRepository(f"{tmp_path}/target", hidden_reads=2)
    assert copy_the_day(tmp_path, target, waits=True).difference is None
    assert pauses == [1.0, 2.0]


def test_the_copy_waits_for_a_limited_time(tmp_path: Path, pauses: list[float]) -> None:
    target = SlowRepository(f"{tmp_path}/target", hidden_reads=100)
    copied = copy_the_day(tmp_path, target, waits=True)
    assert copied.difference == "20 readings in FROM, 0 in TO"
    assert len(pauses) == 5


def test_an_engine_that_shows_writes_at_once_is_read_once(
    tmp_path: Path, pauses: list[float]
) -> None:
    target = SlowRepository(f"{tmp_path}/target", hidden_reads=1)
    copied = copy_the_day(tmp_path, target, waits=False)
    assert (copied.readings, copied.new) == (20, 20)
    assert copied.difference == "20 readings in FROM, 0 in TO"
    assert pauses == []
