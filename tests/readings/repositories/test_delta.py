"""What is particular to the Delta repository: its files, and who may change them."""

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
from readings.repositories.delta.repository import DeltaRepository, exclusive_commit
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window

START = datetime(2023, 2, 27, 16, tzinfo=UTC)
FLEET = Fleet(devices=80)
DAY = START.date()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the table lies."""
    return tmp_path / "readings"


@pytest.fixture
def store(folder: Path) -> DeltaRepository:
    """A table with a file for each of some intervals of one day."""
    store = DeltaRepository(str(folder))
    for time in FLEET.intervals(START, START + MIN_FILES * FLEET.interval):
        store.write(readings_for(FLEET, time))
    return store


def files(folder: Path) -> list[str]:
    return sorted(DeltaTable(str(folder)).file_uris())


def everything(store: DeltaRepository) -> pl.DataFrame:
    return pl.concat([frame.empty(), *store.snapshot().frames(Window(START - timedelta(days=1)))])


def test_upkeep_puts_a_days_readings_together_and_in_order(
    store: DeltaRepository, folder: Path
) -> None:
    before = everything(store)
    assert store.maintain()["days compacted"] == 1
    [file] = files(folder)
    assert pl.read_parquet(file).equals(before)
    assert everything(store).equals(before)


def test_upkeep_changes_no_reading_however_they_are_asked_for(store: DeltaRepository) -> None:
    before = everything(store)
    counts = store.snapshot().minute_counts(Window(START))
    store.maintain()
    assert store.maintain()["days compacted"] == 0
    assert store.snapshot().minute_counts(Window(START)).equals(counts)
    page = store.snapshot().page(Window(START), offset=100, size=1_000)
    assert page.readings.equals(before.slice(100, 1_000))
    assert store.write(before) == 0


def test_a_snapshot_does_not_see_what_is_written_later(store: DeltaRepository) -> None:
    before, name = everything(store), store.snapshot().name
    store.write(readings_for(FLEET, START + timedelta(hours=5)))
    store.maintain()
    assert pl.concat(store.snapshot(name).frames(Window(START))).equals(before)


def test_just_the_days_before_the_one_named_are_forgotten(store: DeltaRepository) -> None:
    kept = everything(store)
    store.write(readings_for(FLEET, START - timedelta(days=1)))
    store.delete_before(START + timedelta(hours=5))
    assert everything(store).equals(kept)


def test_upkeep_lets_a_writer_be_first_and_leaves_nothing(
    store: DeltaRepository, folder: Path
) -> None:
    table = DeltaTable(str(folder))
    snapshot = store.snapshot()
    store.write(readings_for(FLEET, START + timedelta(hours=6)))
    before, on_disk = files(folder), set(folder.rglob("*.parquet"))
    assert not compact_day(table, snapshot, DAY, exclusive_commit(table))
    assert files(folder) == before
    assert set(folder.rglob("*.parquet")) == on_disk


def test_a_writer_that_upkeep_overtook_looks_again(store: DeltaRepository, folder: Path) -> None:
    late = readings_for(Fleet(devices=120), START)
    store.maintain()
    assert store.write(late) == 40
    assert store.write(late) == 0
    assert len(everything(store)) == (MIN_FILES + 1) * 80 + 40


def test_a_day_in_few_files_is_left_alone(store: DeltaRepository, folder: Path) -> None:
    assert days_to_compact(DeltaTable(str(folder))) == [DAY]
    store.maintain()
    assert days_to_compact(DeltaTable(str(folder))) == []


def test_rows_that_lie_together_are_one_run() -> None:
    together = [("a", 100, 50, 50), ("b", 0, 10, 10), ("a", 50, 50, 50)]
    assert merge_row_ranges(together) == (RowRange("a", 50, 100), RowRange("b", 0, 10))


def test_rows_that_lie_scattered_are_searched_for() -> None:
    assert merge_row_ranges([("a", 0, 50, 50), ("a", 50, 10, 12)]) is None
    assert merge_row_ranges([(str(n), 0, 1, 1) for n in range(100)]) is None


def test_a_search_finds_what_a_run_holds(store: DeltaRepository, folder: Path) -> None:
    store.maintain()
    [file] = files(folder)
    last = START + timedelta(minutes=59)
    searched = RowSelection((file,), START, last, None).scan().collect()
    assert searched.equals(
        RowSelection((file,), START, last, (RowRange(file, 0, 12 * 80),)).scan().collect()
    )


def write_in_another_process(folder: Path, time: datetime) -> None:
    DeltaRepository(str(folder)).write(readings_for(FLEET, time))


def test_what_another_process_wrote_shows_at_once(store: DeltaRepository, folder: Path) -> None:
    before = len(everything(store))
    writer = multiprocessing.get_context("spawn").Process(
        target=write_in_another_process, args=(folder, START + timedelta(hours=6))
    )
    writer.start()
    writer.join()
    assert len(everything(store)) == before + 80


def test_a_version_whose_log_was_cut_is_followed_by_the_newest(
    store: DeltaRepository, folder: Path
) -> None:
    before = store.snapshot()
    DeltaRepository(str(folder)).write(readings_for(FLEET, START + timedelta(hours=6)))
    DeltaRepository(str(folder)).write(readings_for(FLEET, START + timedelta(hours=7)))
    DeltaTable(str(folder)).create_checkpoint()
    newest = DeltaTable(str(folder)).version()
    for commit in (folder / "_delta_log").glob("*.json"):
        if int(commit.stem) < newest:
            commit.unlink()
    assert store.snapshot().name == str(newest) != before.name
    assert len(everything(store)) == (MIN_FILES + 3) * 80


@pytest.mark.parametrize("writes", [1, MIN_FILES + 1], ids=["fewer versions", "as many"])
def test_a_table_made_anew_shows_instead_of_the_one_before(
    store: DeltaRepository, folder: Path, writes: int
) -> None:
    everything(store)
    shutil.rmtree(folder)
    anew = DeltaRepository(str(folder))
    for time in FLEET.intervals(START, START + (writes - 1) * FLEET.interval):
        anew.write(readings_for(Fleet(devices=7), time))
    assert len(everything(store)) == writes * 7


def test_a_table_that_was_deleted_shows_nothing(store: DeltaRepository, folder: Path) -> None:
    everything(store)
    shutil.rmtree(folder)
    assert everything(store).is_empty()


def test_a_table_that_many_make_in_the_same_instant_is_there_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = DeltaTable.create

    def second(*args: Any, **kwargs: Any) -> DeltaTable:
        create(*args, **kwargs)
        raise CommitFailedError("Protocol changed since last commit: protocol changed")

    monkeypatch.setattr(DeltaTable, "create", second)
    store = DeltaRepository(str(tmp_path / "new"))
    assert store.write(readings_for(FLEET, START)) == FLEET.devices
