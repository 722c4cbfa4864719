"""A reader follows the log of a Delta table by itself, and finds the same files as Delta."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import Field, write_deltalake
from deltalake.schema import PrimitiveType

from readings import frame
from readings.repositories.delta import commit_log, newest_files
from readings.repositories.delta.compaction import MIN_FILES
from readings.repositories.delta.data_files import DataFiles
from readings.repositories.delta.file_changes import read_changes
from readings.repositories.delta.file_kinds import PARTITION
from readings.repositories.delta.folder import DiskFolder, Folder
from readings.repositories.delta.newest_files import NewestFiles
from readings.repositories.delta.repository import DeltaRepository
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY, Window

FLEET = Fleet(devices=3, late_arrivals=True)
START = datetime(2023, 2, 27, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> DiskFolder:
    """The folder of a table with an interval."""
    folder = DiskFolder(tmp_path / "readings")
    write(folder, START)
    return folder


@pytest.fixture
def reader(folder: DiskFolder, monkeypatch: pytest.MonkeyPatch) -> NewestFiles:
    """A reader that has read the table, and cannot open it again."""
    reader = NewestFiles(folder, creates=False)
    reader.newest()
    monkeypatch.delattr(newest_files, "OpenTable")
    return reader


def write(folder: Folder, *times: datetime) -> None:
    repository = DeltaRepository(folder)
    for time in times:
        repository.write(readings_for(FLEET, time))


def assert_newest(reader: NewestFiles, folder: Folder) -> None:
    table = folder.table()
    files, commit = reader.newest()
    expected = DataFiles.of(folder, table)
    assert commit.version == table.version()
    assert files.paths == expected.paths
    assert files.by_day == expected.by_day
    everything = Window(START - DAY)
    found, wanted = files.days.overlapping(everything), expected.days.overlapping(everything)
    assert found.minute.tolist() == wanted.minute.tolist()
    assert found.readings.tolist() == wanted.readings.tolist()
    for start in (START - DAY, START, START + timedelta(minutes=7), START + DAY):
        end = start + timedelta(minutes=1)
        assert files.overlapping(start, end) == expected.overlapping(start, end)


def test_writes_compaction_and_deletion_are_followed(
    reader: NewestFiles, folder: DiskFolder
) -> None:
    write(folder, START + FLEET.interval)
    assert_newest(reader, folder)
    write(folder, *(START + n * FLEET.interval for n in range(2, MIN_FILES)), START + DAY)
    assert_newest(reader, folder)
    assert DeltaRepository(folder).maintain()["days compacted"] == 1
    assert_newest(reader, folder)
    DeltaRepository(folder).delete_before(START + DAY)
    assert_newest(reader, folder)
    DeltaRepository(folder).delete_before(START + 2 * DAY)
    assert_newest(reader, folder)


def test_nothing_new_is_the_same_object(reader: NewestFiles, folder: DiskFolder) -> None:
    assert reader.newest()[1] is reader.newest()[1]
    write(folder, START)
    assert reader.newest()[1] is reader.newest()[1]


def test_a_file_of_another_program_is_followed(reader: NewestFiles, folder: DiskFolder) -> None:
    readings = frame.with_full_columns(readings_for(FLEET, START + DAY))
    rows = readings.with_columns(pl.col("time").dt.date().alias(PARTITION))
    write_deltalake(folder.uri, rows, mode="append")
    assert_newest(reader, folder)


def test_a_table_is_opened_again_after_a_commit_that_is_not_understood(
    folder: DiskFolder,
) -> None:
    reader = NewestFiles(folder, creates=False)
    reader.newest()
    folder.table().alter.add_columns(Field("new", PrimitiveType("string")))
    write(folder, START + FLEET.interval)
    assert_newest(reader, folder)


def test_a_table_is_opened_again_after_many_commits(
    folder: DiskFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_log, "_MAX_FOLLOWING", 4)
    reader = NewestFiles(folder, creates=False)
    reader.newest()
    write(folder, *(START + n * FLEET.interval for n in range(1, 6)))
    assert_newest(reader, folder)


def test_a_log_file_that_cannot_be_read_is_an_error(
    reader: NewestFiles, folder: DiskFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it counted as missing, a reader would not see a commit."""
    write(folder, START + FLEET.interval)

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(DiskFolder, "read", refuse)
    with pytest.raises(RepositoryUnavailableError):
        reader.newest()


ADD = {
    "path": "day=2023-02-27/part-1.parquet",
    "partitionValues": {"day": "2023-02-27"},
    "stats": json.dumps(
        {
            "numRecords": 1,
            "minValues": {"time": "2023-02-27T00:00:00Z", "arrival_time": "2023-02-27T00:00:00Z"},
            "maxValues": {"time": "2023-02-27T00:00:00Z", "arrival_time": "2023-02-27T00:00:00Z"},
        }
    ),
}


@pytest.mark.parametrize(
    "action",
    [
        {"metaData": {}},
        {"protocol": {}},
        {"add": ADD | {"stats": None}},
        {"add": ADD | {"stats": "{}"}},
        {"add": ADD | {"partitionValues": {}}},
        {"add": ADD | {"path": "day%3D2023-02-27/part-1.parquet"}},
        {"add": ADD | {"deletionVector": {"storageType": "u"}}},
        {"unknown": {}},
        [],
    ],
)
def test_an_unknown_action_is_not_understood(action: object) -> None:
    assert read_changes([json.dumps({"add": ADD}).encode()]) is not None
    assert read_changes([json.dumps(action).encode()]) is None


def test_a_file_that_is_added_and_removed_again_is_not_added() -> None:
    add, remove = {"add": ADD}, {"remove": {"path": ADD["path"]}}
    changes = read_changes([json.dumps(add).encode(), json.dumps(remove).encode()])
    assert changes is not None
    assert changes.added == {}
