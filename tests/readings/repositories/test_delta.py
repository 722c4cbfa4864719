"""The Delta repository: its data files, its versions, and concurrent writers."""

from __future__ import annotations

import multiprocessing
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from readings import frame
from readings.repositories.delta.compaction import MIN_FILES, compact_day, days_to_compact
from readings.repositories.delta.data_files import RowRange, RowSelection, merge_row_ranges
from readings.repositories.delta.folder import DiskFolder
from readings.repositories.delta.repository import DeltaRepository, exclusive_commit
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
FLEET = Fleet(devices=80)
DAY = START.date()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a table with some intervals of one day. Each interval is in a separate data file."""
    folder = tmp_path_factory.mktemp("delta") / "readings"
    repository = DeltaRepository(str(folder))
    for time in FLEET.intervals(START, START + MIN_FILES * FLEET.interval):
        repository.write(readings_for(FLEET, time))
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """The folder of the test's table, a copy: the writes take most of the time."""
    return Path(shutil.copytree(written, tmp_path / "readings"))


@pytest.fixture
def repository(folder: Path) -> DeltaRepository:
    """The test's table."""
    return DeltaRepository(str(folder))


def data_files(folder: Path) -> list[str]:
    return sorted(DeltaTable(str(folder)).file_uris())


def everything(repository: DeltaRepository) -> pl.DataFrame:
    return pl.concat(
        [frame.empty(), *repository.snapshot().frames(Window(START - timedelta(days=1)))]
    )


def test_maintenance_rewrites_a_day_into_one_file_in_order(
    repository: DeltaRepository, folder: Path
) -> None:
    before = everything(repository)
    assert repository.maintain()["days compacted"] == 1
    [file] = data_files(folder)
    assert pl.read_parquet(file).equals(before)
    assert everything(repository).equals(before)


def test_maintenance_changes_no_result(repository: DeltaRepository) -> None:
    before = everything(repository)
    counts = repository.snapshot().minute_counts(Window(START))
    repository.maintain()
    assert repository.maintain()["days compacted"] == 0
    assert repository.snapshot().minute_counts(Window(START)).equals(counts)
    page = repository.snapshot().page(Window(START), offset=100, size=1_000)
    assert page.readings.equals(before.slice(100, 1_000))
    assert repository.write(before) == 0


def test_a_snapshot_does_not_contain_later_writes(repository: DeltaRepository) -> None:
    before, name = everything(repository), repository.snapshot().name
    repository.write(readings_for(FLEET, START + timedelta(hours=5)))
    repository.maintain()
    assert pl.concat(repository.snapshot(name).frames(Window(START))).equals(before)


def test_delete_before_deletes_only_the_days_before_the_instant(
    repository: DeltaRepository,
) -> None:
    remaining = everything(repository)
    repository.write(readings_for(FLEET, START - timedelta(days=1)))
    repository.delete_before(START + timedelta(hours=5))
    assert everything(repository).equals(remaining)


def test_compaction_stops_and_deletes_its_files_if_a_writer_commits_first(
    repository: DeltaRepository, folder: Path
) -> None:
    table = DeltaTable(str(folder))
    snapshot = repository.snapshot()
    repository.write(readings_for(FLEET, START + timedelta(hours=6)))
    before, on_disk = data_files(folder), set(folder.rglob("*.parquet"))
    assert not compact_day(DiskFolder(folder), table, snapshot, DAY, exclusive_commit(table))
    assert data_files(folder) == before
    assert set(folder.rglob("*.parquet")) == on_disk


def test_a_writer_retries_after_a_compaction(repository: DeltaRepository, folder: Path) -> None:
    late = readings_for(Fleet(devices=120), START)
    repository.maintain()
    assert repository.write(late) == 40
    assert repository.write(late) == 0
    assert len(everything(repository)) == (MIN_FILES + 1) * 80 + 40


def test_a_day_in_few_files_is_not_compacted(repository: DeltaRepository, folder: Path) -> None:
    assert days_to_compact(DeltaTable(str(folder))) == [DAY]
    repository.maintain()
    assert days_to_compact(DeltaTable(str(folder))) == []


def test_adjacent_rows_become_one_range() -> None:
    adjacent = [("a", 100, 50, 50), ("b", 0, 10, 10), ("a", 50, 50, 50)]
    assert merge_row_ranges(adjacent) == (RowRange("a", 50, 100), RowRange("b", 0, 10))


def test_scattered_rows_have_no_ranges() -> None:
    assert merge_row_ranges([("a", 0, 50, 50), ("a", 50, 10, 12)]) is None
    assert merge_row_ranges([(str(n), 0, 1, 1) for n in range(100)]) is None


def test_a_search_returns_the_same_readings_as_a_row_range(
    repository: DeltaRepository, folder: Path
) -> None:
    repository.maintain()
    [file] = data_files(folder)
    last = START + timedelta(minutes=59)
    searched = (
        RowSelection((file,), START, last, None).scan(DiskFolder(folder), frame.COLUMNS).collect()
    )
    by_row = RowSelection((file,), START, last, (RowRange(file, 0, 12 * 80),))
    assert searched.equals(by_row.scan(DiskFolder(folder), frame.COLUMNS).collect())


def test_a_writer_sees_what_others_wrote_since_its_last_write(
    repository: DeltaRepository, folder: Path
) -> None:
    repository.write(readings_for(FLEET, START + timedelta(hours=5)))
    later = readings_for(FLEET, START + timedelta(hours=6))
    assert DeltaRepository(str(folder)).write(later.head(30)) == 30
    assert repository.write(later) == 50
    assert repository.write(later) == 0


def test_a_deployment_does_not_create_a_deleted_table_again(folder: Path) -> None:
    deployed = DeltaRepository(str(folder), creates=False)
    deployed.write(readings_for(FLEET, START + timedelta(hours=5)))
    everything(deployed)
    shutil.rmtree(folder)
    later = readings_for(FLEET, START + timedelta(hours=6))
    uses = (
        deployed.snapshot,
        deployed.recent_snapshot,
        deployed.probe,
        deployed.table_id,
        deployed.maintain,
    )
    for use in (*uses, lambda: deployed.write(later)):
        with pytest.raises(RepositoryUnavailableError, match="does not exist") as missing:
            use()
        assert "mount its disk or restore it" in str(missing.value)
    assert not folder.exists()
    deployed.check()
    assert everything(deployed).is_empty()
    assert deployed.write(later) == 80


def write_in_another_process(folder: Path, time: datetime) -> None:
    DeltaRepository(str(folder)).write(readings_for(FLEET, time))


@pytest.mark.starts_processes
def test_a_write_of_another_process_is_visible_at_once(
    repository: DeltaRepository, folder: Path
) -> None:
    before = len(everything(repository))
    writer = multiprocessing.get_context("spawn").Process(
        target=write_in_another_process, args=(folder, START + timedelta(hours=6))
    )
    writer.start()
    writer.join()
    assert len(everything(repository)) == before + 80


def test_the_newest_version_is_found_after_log_clean_up(
    repository: DeltaRepository, folder: Path
) -> None:
    before = repository.snapshot()
    DeltaRepository(str(folder)).write(readings_for(FLEET, START + timedelta(hours=6)))
    DeltaRepository(str(folder)).write(readings_for(FLEET, START + timedelta(hours=7)))
    DeltaTable(str(folder)).create_checkpoint()
    newest = DeltaTable(str(folder)).version()
    for commit in (folder / "_delta_log").glob("*.json"):
        if int(commit.stem) < newest:
            commit.unlink()
    assert repository.snapshot().name == str(newest) != before.name
    assert len(everything(repository)) == (MIN_FILES + 3) * 80


@pytest.mark.parametrize("writes", [1, MIN_FILES + 1], ids=["fewer versions", "as many versions"])
def test_a_table_that_was_deleted_and_created_again_is_read_again(
    repository: DeltaRepository, folder: Path, writes: int
) -> None:
    everything(repository)
    shutil.rmtree(folder)
    recreated = DeltaRepository(str(folder))
    for time in FLEET.intervals(START, START + (writes - 1) * FLEET.interval):
        recreated.write(readings_for(Fleet(devices=7), time))
    assert len(everything(repository)) == writes * 7


def test_many_processes_can_create_the_same_table_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = DeltaTable.create

    def created_by_another_process_first(*args: Any, **kwargs: Any) -> DeltaTable:
        create(*args, **kwargs)
        raise CommitFailedError("Protocol changed since last commit: protocol changed")

    monkeypatch.setattr(DeltaTable, "create", created_by_another_process_first)
    repository = DeltaRepository(str(tmp_path / "new"))
    assert repository.write(readings_for(FLEET, START)) == FLEET.devices
