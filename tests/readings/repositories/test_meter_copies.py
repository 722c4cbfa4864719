"""Meter copies: all readings of a day that has ended, ordered by meter."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from obstore.exceptions import BaseError as BucketError
from polars.testing import assert_frame_equal

from readings import frame
from readings.repositories.delta import meter_copies, meter_copy_rows
from readings.repositories.delta.folder import DiskFolder
from readings.repositories.delta.maintenance import MAX_DAYS_COPIED
from readings.repositories.delta.meter_copies import COPIED_COLUMNS
from readings.repositories.delta.repository import DeltaRepository
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY, RESOLUTION, Window

HOUR = timedelta(hours=1)
FLEET = Fleet(devices=12, interval_minutes=60)
MONDAY = datetime(2023, 2, 27, tzinfo=UTC)
TUESDAY, WEDNESDAY = MONDAY + DAY, MONDAY + 2 * DAY
END = MONDAY + 3 * DAY - RESOLUTION
METERS = sorted(str(meter) for meter in FLEET.meters.device_id)
A, B, C = METERS[0], METERS[5], METERS[-1]
COLUMNS = [name for name in frame.FULL_COLUMNS if name in (*COPIED_COLUMNS, "measure_name")]
WINDOWS = {
    "first meter": Window(MONDAY, END, (A,)),
    "meter with a missing and a late reading": Window(MONDAY, END, (B,)),
    "several meters": Window(MONDAY, END, (C, A, B)),
    "from noon to noon": Window(MONDAY + DAY / 2, WEDNESDAY + DAY / 2, (B,)),
    "no end": Window(MONDAY + DAY / 2, None, (B,)),
    "up to the last instant of a day": Window(MONDAY, TUESDAY - RESOLUTION, (C,)),
    "up to the first instant of the next day": Window(MONDAY, TUESDAY, (C,)),
    "unknown meters": Window(MONDAY, END, ("0", "7" + A[1:], "z")),
    "as of an instant": Window(MONDAY, END, (A, B), as_of=TUESDAY + 10.5 * HOUR),
    "as of the end": Window(MONDAY, END, (A, B), as_of=END + 9 * DAY),
    "arrived after an instant": Window(MONDAY, END, (A, B), arrived_after=TUESDAY + 10.5 * HOUR),
    "both": Window(MONDAY, END, (A, B), arrived_after=MONDAY + HOUR, as_of=TUESDAY + 11 * HOUR),
    "before the first reading": Window(MONDAY - 2 * DAY, MONDAY - DAY, (A,)),
}


def readings_of_day(day: datetime) -> pl.DataFrame:
    """Return the 288 readings of a day. They have an energy and a quality."""
    found = pl.concat(readings_for(FLEET, day + hour * HOUR) for hour in range(24))
    return found.with_columns(kwh=pl.col("kw"), quality=pl.lit("measured"))


def corrected(readings: pl.DataFrame, arrival: datetime) -> pl.DataFrame:
    return readings.with_columns(
        arrival_time=pl.lit(arrival, frame.INSTANT), kw=pl.lit(99.0), kwh=pl.lit(None, pl.Float64)
    )


@pytest.fixture(scope="module", autouse=True)
def small_parts() -> Iterator[None]:
    """A copy of a day has three files with row groups of two meters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter_copy_rows, "_READINGS_PER_PART", 100)
        patch.setattr(meter_copies, "_ROWS_PER_GROUP", 48)
        yield


@pytest.fixture(scope="module")
def maintained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a table with three copied days.

    Monday has all readings, on Tuesday some are missing, and one is late. Both have corrections. Wednesday has only
    the columns of the contract.
    """
    folder = tmp_path_factory.mktemp("meter-copies") / "readings"
    repository = DeltaRepository(str(folder))
    monday, tuesday = readings_of_day(MONDAY), readings_of_day(TUESDAY)
    of_b = pl.col("device_id") == B
    repository.write(monday)
    repository.write(corrected(monday.filter(of_b)[3:9], TUESDAY + 10 * HOUR), corrections=True)
    repository.write(corrected(monday.filter(of_b)[5:7], TUESDAY + 11 * HOUR), corrections=True)
    late = of_b & (pl.col("time") == TUESDAY + 7 * HOUR)
    missing = of_b & (pl.col("time") == TUESDAY + 8 * HOUR)
    repository.write(tuesday.filter(~late & ~missing))
    repository.write(
        tuesday.filter(late).with_columns(arrival_time=pl.lit(WEDNESDAY, frame.INSTANT))
    )
    repository.write(corrected(tuesday[120:140], WEDNESDAY + HOUR), corrections=True)
    repository.write(readings_of_day(WEDNESDAY).drop("kwh", "quality"))
    assert repository.maintain()["days copied"] == 3
    return folder


@pytest.fixture(scope="module")
def without_copies(maintained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same table without copies."""
    folder = tmp_path_factory.mktemp("without-copies") / "readings"
    return Path(shutil.copytree(maintained, folder, ignore=shutil.ignore_patterns("_meters")))


@pytest.fixture
def folder(maintained: Path, tmp_path: Path) -> Path:
    """The folder of a copy of the table. It is copied because maintenance takes longer."""
    return Path(shutil.copytree(maintained, tmp_path / "readings"))


def page(folder: Path, window: Window, columns: list[str] = COLUMNS) -> pl.DataFrame:
    """Return the first readings of a window, as a new process reads them."""
    snapshot = DeltaRepository(str(folder)).snapshot()
    return snapshot.page(window, offset=0, size=1000, columns=columns).readings


def copied(folder: Path, suffix: str = "json") -> list[str]:
    """Return the days of the indexes, or of the other files with this suffix."""
    return sorted(path.name[:10] for path in (folder / "_meters").glob(f"*.{suffix}"))


def remove_data_files(folder: Path) -> None:
    for file in folder.glob("day=*/*.parquet"):
        file.unlink()


def make_older(folder: Path, pattern: str) -> None:
    """Let the files in the folder of the copies look as if they were written more than an hour ago."""
    for file in (folder / "_meters").glob(pattern):
        os.utime(file, (time.time() - 3601, time.time() - 3601))


@pytest.mark.parametrize("columns", [COLUMNS, ["time"], frame.COLUMNS, frame.FULL_COLUMNS])
def test_a_page_is_the_same_with_and_without_copies(
    maintained: Path, without_copies: Path, columns: list[str]
) -> None:
    for name, window in WINDOWS.items():
        found, expected = (page(each, window, columns) for each in (maintained, without_copies))
        assert_frame_equal(found, expected, check_exact=True)
        assert len(found) > 0 or name in ("unknown meters", "before the first reading")


def test_a_small_page_and_the_next_one_are_the_same_with_and_without_copies(
    maintained: Path, without_copies: Path
) -> None:
    def pages(folder: Path) -> list[Any]:
        snapshot = DeltaRepository(str(folder)).snapshot()
        found = [snapshot.page(WINDOWS["several meters"], offset=n, size=7) for n in (0, 7, 142)]
        return [(each.readings.rows(), each.more) for each in found]

    assert pages(maintained) == pages(without_copies)


def test_a_copied_day_is_read_without_its_data_files(folder: Path) -> None:
    expected = page(folder, WINDOWS["several meters"])
    assert len(expected) == 3 * 3 * 24 - 1
    remove_data_files(folder)
    assert_frame_equal(page(folder, WINDOWS["several meters"]), expected)
    # The valid versions of that instant are not in the copies.
    with pytest.raises(RepositoryUnavailableError):
        page(folder, WINDOWS["as of an instant"])


@pytest.mark.parametrize(
    "change",
    [
        lambda readings: corrected(readings.filter(pl.col("device_id") == A), END),
        lambda readings: readings.with_columns(time=pl.col("time") + HOUR / 2).head(12),
    ],
    ids=["correction", "late reading"],
)
def test_the_copy_of_a_changed_day_is_not_used_until_maintenance_copies_it_again(
    folder: Path, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    before = page(folder, WINDOWS["first meter"])
    repository = DeltaRepository(str(folder))
    repository.write(change(readings_of_day(MONDAY)), corrections=True)
    after = page(folder, WINDOWS["first meter"])
    assert not after.equals(before)
    assert repository.maintain()["days copied"] == 1
    assert copied(folder) == ["2023-02-27", "2023-02-27", "2023-02-28", "2023-03-01"]
    remove_data_files(folder)
    assert_frame_equal(page(folder, WINDOWS["first meter"]), after)


def test_an_old_snapshot_uses_the_copies_of_its_own_data_files(folder: Path) -> None:
    repository = DeltaRepository(str(folder))
    old = repository.snapshot().name
    before = page(folder, WINDOWS["first meter"])
    repository.write(corrected(readings_of_day(MONDAY), END), corrections=True)
    repository.maintain()
    snapshot = DeltaRepository(str(folder)).snapshot(old)
    found = snapshot.page(WINDOWS["first meter"], offset=0, size=1000, columns=COLUMNS).readings
    assert_frame_equal(found, before)


def test_days_that_did_not_change_are_not_copied_again(folder: Path) -> None:
    assert DeltaRepository(str(folder)).maintain()["days copied"] == 0


def test_a_copy_that_was_interrupted_is_not_used_and_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = page(folder, WINDOWS["several meters"])
    shutil.rmtree(folder / "_meters")
    stored, put_frame = [], DiskFolder.put_frame

    def killed_at_the_third_file(self: DiskFolder, name: str, *args: Any, **options: Any) -> None:
        stored.append(name)
        if len(stored) == 3:
            raise KeyboardInterrupt
        put_frame(self, name, *args, **options)

    monkeypatch.setattr(DiskFolder, "put_frame", killed_at_the_third_file)
    with pytest.raises(KeyboardInterrupt):
        DeltaRepository(str(folder)).maintain()
    monkeypatch.undo()
    assert (copied(folder), len(copied(folder, "parquet"))) == ([], 2)
    assert_frame_equal(page(folder, WINDOWS["several meters"]), expected)
    assert DeltaRepository(str(folder)).maintain()["days copied"] == 3
    remove_data_files(folder)
    assert_frame_equal(page(folder, WINDOWS["several meters"]), expected)


def test_a_damaged_copy_is_not_used(folder: Path) -> None:
    expected = page(folder, WINDOWS["several meters"])
    [index] = (folder / "_meters").glob("2023-02-27*.json")
    index.write_bytes(bytes(index.stat().st_size))
    for file in (folder / "_meters").glob("2023-02-28*.parquet"):
        file.write_bytes(b"")
    assert_frame_equal(page(folder, WINDOWS["several meters"]), expected)
    assert DeltaRepository(str(folder)).maintain()["days copied"] == 1


def test_on_a_full_disk_no_part_of_a_copy_and_no_unused_file_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "_meters" / f".{uuid.uuid4()}").touch()
    DeltaRepository(str(folder)).write(corrected(readings_of_day(MONDAY), END), corrections=True)
    make_older(folder, ".*")
    make_older(folder, "*")
    written, write_parquet = [], pl.DataFrame.write_parquet

    def full_at_the_second_file(self: pl.DataFrame, file: Path, **options: Any) -> None:
        written.append(file)
        write_parquet(self, file, **options)
        if sum(each.parent.name == "_meters" for each in written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full_at_the_second_file)
    with pytest.raises(RepositoryUnavailableError, match="No space left"):
        DeltaRepository(str(folder)).maintain()
    assert {path.name[:10] for path in (folder / "_meters").iterdir()} == {
        "2023-02-28", "2023-03-01",
    }  # fmt: skip


@pytest.mark.parametrize("call", ["read", "existing"])
def test_an_error_of_a_bucket_while_a_copy_or_the_day_cache_is_read_is_an_outage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    snapshot = DeltaRepository(str(folder)).snapshot()

    def fail(*_: Any) -> None:
        raise BucketError("the bucket cannot be reached")

    monkeypatch.setattr(DiskFolder, call, fail)
    with pytest.raises(RepositoryUnavailableError, match="cannot be read"):
        snapshot.page(
            Window(MONDAY, END, (A,), as_of=MONDAY if call == "existing" else None),
            offset=0,
            size=9,
        )


def test_unused_copies_are_deleted_after_an_hour(folder: Path) -> None:
    repository = DeltaRepository(str(folder))
    repository.delete_before(TUESDAY)
    repository.maintain()
    assert copied(folder) == ["2023-02-27", "2023-02-28", "2023-03-01"]
    for name in (f".{uuid.uuid4()}", "notes.txt"):
        (folder / "_meters" / name).touch()
    make_older(folder, "*")
    make_older(folder, ".*")
    # The index of Monday is younger than its files, because a copy takes time.
    [index] = (folder / "_meters").glob("2023-02-27*.json")
    index.touch()
    repository.maintain()
    assert copied(folder, "parquet").count("2023-02-27") == 3
    make_older(folder, "*")
    repository.maintain()
    assert {*copied(folder), *copied(folder, "parquet")} == {"2023-02-28", "2023-03-01"}
    assert [path.name for path in (folder / "_meters").glob("[.n]*")] == ["notes.txt"]


def test_a_day_is_copied_when_it_has_ended_and_no_reading_arrived_for_an_hour(
    tmp_path: Path,
) -> None:
    now = [TUESDAY + HOUR]
    repository = DeltaRepository(str(tmp_path / "new"), clock=lambda: now[0])
    repository.write(readings_of_day(MONDAY))
    repository.write(readings_of_day(TUESDAY)[:12])
    repository.write(
        readings_of_day(MONDAY)[:12].with_columns(
            time=pl.col("time") + HOUR / 2, arrival_time=pl.lit(TUESDAY + HOUR, frame.INSTANT)
        )
    )
    copies = []
    for now[0] in (TUESDAY + HOUR, TUESDAY + 1.5 * HOUR, TUESDAY + 2.1 * HOUR, TUESDAY + 20 * HOUR):
        copies.append(repository.maintain()["days copied"])
    assert copies == [0, 0, 1, 0]
    assert copied(tmp_path / "new") == ["2023-02-27"]


def test_one_maintenance_copies_a_limited_number_of_days_newest_first(tmp_path: Path) -> None:
    repository = DeltaRepository(str(tmp_path / "old"))
    days = [MONDAY + day * DAY for day in range(MAX_DAYS_COPIED + 2)]
    repository.write(pl.concat(readings_for(FLEET, day) for day in days))
    assert repository.maintain()["days copied"] == MAX_DAYS_COPIED
    assert copied(tmp_path / "old")[0] == "2023-03-01"
    assert repository.maintain()["days copied"] == 2
