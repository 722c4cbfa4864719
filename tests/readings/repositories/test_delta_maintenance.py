"""Maintenance of a Delta table: conflicts, a disk that cannot be used, and files of other programs in its folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from readings import tasks
from readings.repositories import ReadingsRepository
from readings.repositories.delta.maintenance import log as maintenance_log
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

FLEET = Fleet(devices=3)
START = datetime(2023, 2, 27, tzinfo=UTC)
OTHER_FILES = [
    ".DS_Store", "notes.txt", "lost+found/x", "day=2023-02-27/.DS_Store", "day=2023-02-27/notes.txt",
    "_minutes/.DS_Store", "_minutes/lost+found/x", "_hours/notes.txt", "_meters/notes.txt",
]  # fmt: skip


@pytest.fixture
def folder(store: ReadingsRepository, tmp_path: Path) -> Path:
    """The folder of a table with one maintained interval."""
    store.write(readings_for(FLEET, START))
    store.maintain()
    return tmp_path / "readings"


def make_older(path: Path, by: timedelta = timedelta(days=30)) -> None:
    """Set the time of the last change back."""
    then = time.time() - by.total_seconds()
    os.utime(path, (then, then))


def test_maintenance_keeps_the_files_of_other_programs_and_deletes_its_own(
    store: ReadingsRepository, folder: Path
) -> None:
    for name in [*OTHER_FILES, "day=2023-02-27/part-left-by-a-killed-writer.parquet"]:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
        make_older(path)
        if path.parent.name == "lost+found":
            make_older(path.parent)
    assert store.maintain()["files removed"] == 1
    assert [name for name in OTHER_FILES if not (folder / name).exists()] == []
    assert not (folder / "day=2023-02-27/part-left-by-a-killed-writer.parquet").exists()


def test_only_maintenance_deletes_old_log_files(store: ReadingsRepository, folder: Path) -> None:
    def write(days: int) -> None:
        for number in range(days):
            store.write(readings_for(FLEET, START + timedelta(days=number)))

    def log_files() -> int:
        return len(list((folder / "_delta_log").glob("*.json")))

    write(25)
    for path in (folder / "_delta_log").iterdir():
        make_older(path, timedelta(days=40))
    store.write(readings_for(FLEET, START + timedelta(days=30)))
    store.delete_before(START + timedelta(days=1))
    before = log_files()
    assert before > 25
    store.maintain(may_delete=False)
    assert log_files() == before
    store.maintain()
    assert log_files() < before - 15
    assert len(store.snapshot().day_summaries()) == 25


def test_a_folder_that_cannot_be_listed_does_not_stop_maintenance(
    store: ReadingsRepository, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vacuum = DeltaTable.vacuum

    def refuse_to_list(
        table: DeltaTable, *args: Any, full: bool = False, **kwargs: Any
    ) -> list[str]:
        if full:
            raise DeltaError("lost+found: Permission denied")
        return vacuum(table, *args, **kwargs)

    warnings: list[str] = []
    monkeypatch.setattr(DeltaTable, "vacuum", refuse_to_list)
    monkeypatch.setattr(maintenance_log, "warning", lambda message, **_: warnings.append(message))
    store.write(readings_for(FLEET, START + timedelta(days=1)))
    assert store.maintain()["days counted"] == 1
    assert warnings == ["not all unused files can be found"]


def test_deletion_is_retried_after_the_commit_of_another_writer(
    store: ReadingsRepository, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete, conflicts = DeltaTable.delete, [1, 2]

    def conflict_twice(table: DeltaTable, *args: Any, **kwargs: Any) -> Any:
        if conflicts:
            conflicts.pop()
            raise CommitFailedError("another writer")
        return delete(table, *args, **kwargs)

    monkeypatch.setattr(DeltaTable, "delete", conflict_twice)
    store.delete_before(START + timedelta(days=1))
    assert store.snapshot().day_summaries().is_empty()


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.maintain(),
        lambda store: store.delete_before(START),
        lambda store: store.write(readings_for(FLEET, START + timedelta(hours=1))),
    ],
    ids=["maintain", "delete_before", "write"],
)
def test_a_full_disk_makes_the_repository_unavailable(
    store: ReadingsRepository,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[ReadingsRepository], Any],
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DeltaTable, "vacuum", fail)
    monkeypatch.setattr(DeltaTable, "delete", fail)
    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)
    with pytest.raises(RepositoryUnavailableError, match="No space left on device"):
        act(store)


@pytest.mark.django_db
def test_a_task_logs_one_line_if_the_repository_cannot_be_used(
    store: ReadingsRepository,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RepositoryUnavailableError("The table cannot be maintained: No space left on device")

    monkeypatch.setattr(type(store), "maintain", fail)
    tasks.maintain_repository()
    [line] = [line for line in log_lines() if line["logger"] == "readings.tasks"]
    assert line["error"] == "The table cannot be maintained: No space left on device"
    assert "exc_info" not in line
