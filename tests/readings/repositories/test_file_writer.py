"""The data files of a commit: one per day, and none is left if the write fails."""

from __future__ import annotations

import _thread
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from readings.repositories.delta.compaction import MIN_FILES
from readings.repositories.delta.file_kinds import Kind
from readings.repositories.delta.file_writer import write_days
from readings.repositories.delta.folder import DiskFolder
from readings.repositories.delta.repository import DeltaRepository
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window

FLEET = Fleet(devices=30)
EVENING = datetime(2023, 2, 27, 23, 55, tzinfo=UTC)
MIDNIGHT = EVENING + FLEET.interval
BOTH_DAYS = pl.concat([readings_for(FLEET, time) for time in (EVENING, MIDNIGHT)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "readings"


@pytest.fixture
def repository(folder: Path) -> DeltaRepository:
    return DeltaRepository(str(folder))


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def test_readings_of_two_days_are_one_commit_with_a_file_for_each_day(
    repository: DeltaRepository, folder: Path
) -> None:
    before = int(repository.snapshot().name)
    assert repository.write(BOTH_DAYS) == 60
    assert int(repository.snapshot().name) == before + 1
    assert [file.parent.name for file in files(folder)] == ["day=2023-02-27", "day=2023-02-28"]
    assert pl.concat(repository.snapshot().frames(Window(EVENING))).equals(BOTH_DAYS)


def test_the_log_has_the_bounds_of_the_instants_of_a_file(
    repository: DeltaRepository, folder: Path
) -> None:
    microsecond = timedelta(microseconds=1)
    arrival = (pl.col("arrival_time") + microsecond).alias("arrival_time")
    repository.write(readings_for(FLEET, EVENING).with_columns(arrival))
    actions = pl.DataFrame(DeltaTable(str(folder)).get_add_actions(flatten=True))
    columns = ["num_records", "min.time", "max.time", "max.arrival_time", "null_count.kw"]
    assert actions.select(columns).row(0) == (30, EVENING, EVENING, EVENING, 0)


def test_a_writer_that_is_too_late_deletes_its_files_and_writes_the_rest(
    repository: DeltaRepository, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write(readings_for(FLEET, EVENING - FLEET.interval))
    create = DeltaTable.create_write_transaction
    commits: list[int] = []

    def after_another_writer(table: DeltaTable, *args: Any, **kwargs: Any) -> None:
        commits.append(table.version())
        if len(commits) == 1:
            DeltaRepository(str(folder)).write(readings_for(FLEET, EVENING))
        create(table, *args, **kwargs)

    monkeypatch.setattr(DeltaTable, "create_write_transaction", after_another_writer)
    assert repository.write(BOTH_DAYS) == 30
    in_table = [Path(file) for file in DeltaTable(str(folder)).file_uris()]
    assert files(folder) == sorted(in_table)


@pytest.mark.parametrize("act", ["write", "maintain"])
def test_a_commit_that_exists_although_it_was_refused_keeps_its_files(
    repository: DeltaRepository, folder: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """A bucket's server reports an error after it created the commit, and the library repeats the call."""
    for number in range(MIN_FILES):
        repository.write(readings_for(FLEET, MIDNIGHT + number * FLEET.interval))
    before = pl.concat(repository.snapshot().frames(Window(MIDNIGHT)))
    create = DeltaTable.create_write_transaction

    def create_then_refuse(table: DeltaTable, *args: Any, **kwargs: Any) -> None:
        create(table, *args, **kwargs)
        raise CommitFailedError("a concurrent transaction")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", create_then_refuse)
    if act == "write":
        assert repository.write(readings_for(FLEET, EVENING)) == 30
    else:
        assert repository.maintain()["days compacted"] == 1
    in_table = [Path(file) for file in DeltaTable(str(folder)).file_uris()]
    assert all(file.exists() for file in in_table)
    assert pl.concat(repository.snapshot().frames(Window(MIDNIGHT))).equals(before)


@pytest.mark.parametrize(
    ("owner", "failing", "error"),
    [
        (pl.DataFrame, "write_parquet", OSError),
        (DiskFolder, "put", OSError),
        (DeltaTable, "create_write_transaction", CommitFailedError),
    ],
    ids=["the data file", "its statistics", "the commit"],
)
def test_a_write_that_fails_leaves_no_file(
    repository: DeltaRepository,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    failing: str,
    error: type[Exception],
) -> None:
    repository.snapshot()

    def fail(*_: Any, **__: Any) -> None:
        raise error("No space left on device")

    monkeypatch.setattr(owner, failing, fail)
    with pytest.raises(RepositoryUnavailableError):
        repository.write(BOTH_DAYS)
    assert files(folder) == []


def test_a_write_that_is_interrupted_while_it_waits_for_the_statistics_leaves_no_data_file(
    repository: DeltaRepository, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.snapshot()
    written = Event()
    write_frame = DiskFolder.write_frame

    def write_then_tell(*arguments: Any, **options: Any) -> int:
        size = write_frame(*arguments, **options)
        written.set()
        return size

    def interrupt_the_writer(*_: Any) -> None:
        written.wait()
        _thread.interrupt_main()
        # The writer is interrupted while it waits for this thread.
        time.sleep(0.5)

    monkeypatch.setattr(DiskFolder, "write_frame", write_then_tell)
    monkeypatch.setattr(DiskFolder, "put", interrupt_the_writer)
    with pytest.raises(KeyboardInterrupt):
        repository.write(BOTH_DAYS)
    assert files(folder) == []


def test_the_file_of_the_first_day_is_deleted_if_the_second_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = pl.DataFrame.write_parquet

    def fail_on_the_second_day(readings: pl.DataFrame, file: Path, **options: Any) -> None:
        write(readings, file, **options)
        if file.parent.name == "day=2023-02-28":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail_on_the_second_day)
    with pytest.raises(OSError, match="No space left"):
        write_days(DiskFolder(tmp_path), {Kind.MAIN: BOTH_DAYS})
    assert files(tmp_path) == []
