"""The day cache of a Delta table: minute counts and hourly sums of days that ended more than a day ago."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from readings.repositories.delta.day_cache import DAY_SUMMARIES, HOURLY_SUMS, MINUTE_COUNTS
from readings.repositories.delta.hourly_sums import without_days
from readings.repositories.delta.maintenance import MAX_DAYS_SUMMED
from readings.repositories.delta.repository import DeltaRepository
from readings.repositories.hourly_means import MEASURED
from readings.repository_errors import RepositoryUnavailableError
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY, RESOLUTION, Window

FLEET = Fleet(devices=40, interval_minutes=60)
MONDAY = datetime(2023, 2, 27, tzinfo=UTC)
END = MONDAY + 3 * DAY - RESOLUTION
A, B = (str(meter) for meter in FLEET.meters.device_id[:2])
WINDOWS = {
    "three days": Window(MONDAY, END),
    "one meter": Window(MONDAY, END, (A,)),
    "two meters": Window(MONDAY, END, (A, B)),
    "from noon to noon": Window(MONDAY + DAY / 2, MONDAY + 2.5 * DAY, (A,)),
    "no end": Window(MONDAY + DAY / 2, None, (A,)),
    "within a day": Window(MONDAY + DAY / 4, MONDAY + DAY / 2, (A,)),
    "half an hour": Window(MONDAY, MONDAY + timedelta(minutes=30), (A,)),
    "up to the last instant of a day": Window(MONDAY, MONDAY + DAY - RESOLUTION, (A,)),
    "up to the first instant of the next day": Window(MONDAY, MONDAY + DAY, (A,)),
    "an unknown meter": Window(MONDAY, END, ("0" * 36,)),
    "as of an instant": Window(MONDAY, END, (A,), as_of=MONDAY + 1.2 * DAY),
    "arrived after an instant": Window(MONDAY, END, (A,), arrived_after=MONDAY + 1.2 * DAY),
    "before the first reading": Window(MONDAY - 2 * DAY, MONDAY - DAY, (A,)),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a table with three days of forty meters. Maintenance compacts the second day, in 24 data files."""
    folder = tmp_path_factory.mktemp("day-cache") / "readings"
    repository = DeltaRepository(str(folder))
    hours = [readings_for(FLEET, hour) for hour in FLEET.intervals(MONDAY, END)]
    repository.write(pl.concat(hours[:24]).with_columns(kwh=pl.lit(0.25)))
    for hour in hours[24:48]:
        repository.write(hour)
    repository.write(pl.concat(hours[48:]))
    return folder


@pytest.fixture(scope="module")
def maintained(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same table after maintenance."""
    folder = Path(shutil.copytree(written, tmp_path_factory.mktemp("maintained") / "readings"))
    assert DeltaRepository(str(folder)).maintain()["days compacted"] == 1
    return folder


@pytest.fixture
def folder_before_maintenance(written: Path, tmp_path: Path) -> Path:
    """The folder of the test's table before maintenance, a copy."""
    return Path(shutil.copytree(written, tmp_path / "readings"))


@pytest.fixture
def folder(maintained: Path, tmp_path: Path) -> Path:
    """The folder of the test's table after maintenance, a copy: maintenance takes most of the time."""
    return Path(shutil.copytree(maintained, tmp_path / "readings"))


@pytest.fixture
def repository(folder: Path) -> DeltaRepository:
    """The test's table after maintenance."""
    return DeltaRepository(str(folder))


def cached_days(folder: Path, kind: str = HOURLY_SUMS) -> list[str]:
    """Return the days of all files in a cache folder. A temporary file would show up as a wrong day."""
    return sorted(path.name[:10] for path in (folder / kind).iterdir())


def assert_same(hours: pl.DataFrame, others: pl.DataFrame) -> None:
    assert hours.schema == others.schema
    assert hours.drop(MEASURED).equals(others.drop(MEASURED))
    for name in MEASURED:
        assert hours[name].is_null().equals(others[name].is_null())
        assert hours[name].drop_nulls().to_list() == pytest.approx(
            others[name].drop_nulls().to_list(), rel=1e-6
        )


def test_hourly_means_are_the_same_with_and_without_the_cache(
    folder_before_maintenance: Path,
) -> None:
    folder = folder_before_maintenance
    repository = DeltaRepository(str(folder))
    before = {name: repository.snapshot().hourly_means(window) for name, window in WINDOWS.items()}
    assert before["one meter"].height == 72
    assert repository.maintain()["days summed up"] == 3
    assert cached_days(folder) == ["2023-02-27", "2023-02-28", "2023-03-01"]
    for name, window in WINDOWS.items():
        assert_same(repository.snapshot().hourly_means(window), before[name])


def test_the_data_files_of_a_cached_day_are_not_read(
    repository: DeltaRepository, folder: Path
) -> None:
    three_days, more_than_three_days = (Window(MONDAY, end, (A,)) for end in (END, END + DAY / 2))
    delete_data_files(folder)
    shutil.rmtree(folder / "_meters")
    assert repository.snapshot().hourly_means(three_days).height == 72
    assert repository.snapshot().hourly_means(more_than_three_days).height == 72
    with pytest.raises(RepositoryUnavailableError):
        repository.snapshot().hourly_means(Window(MONDAY + DAY / 2, END, (A,)))


def delete_data_files(folder: Path) -> None:
    for file in folder.glob("day=*/*.parquet"):
        file.unlink()


def test_another_process_reads_the_counts_from_the_cache(
    folder_before_maintenance: Path,
) -> None:
    folder = folder_before_maintenance
    repository = DeltaRepository(str(folder))
    windows = [window for window in WINDOWS.values() if window.bounds_time_only]
    before = [repository.snapshot().minute_counts(window) for window in windows]
    assert repository.maintain()["days counted"] == 3
    assert cached_days(folder, MINUTE_COUNTS) == ["2023-02-27", "2023-02-28", "2023-03-01"]
    assert repository.maintain()["days counted"] == 0
    delete_data_files(folder)
    another = DeltaRepository(str(folder)).snapshot()
    assert all(
        another.minute_counts(window).equals(counts)
        for window, counts in zip(windows, before, strict=True)
    )


def test_another_process_reads_the_summaries_from_the_cache(
    folder_before_maintenance: Path,
) -> None:
    folder = folder_before_maintenance
    repository = DeltaRepository(str(folder))
    before, meters = repository.snapshot().day_summaries(), repository.snapshot().meter_count()
    assert repository.maintain()["days summarised"] == 3
    assert cached_days(folder, DAY_SUMMARIES) == ["2023-02-27", "2023-02-28", "2023-03-01"]
    assert repository.maintain()["days summarised"] == 0
    delete_data_files(folder)
    another = DeltaRepository(str(folder)).snapshot()
    assert another.day_summaries().equals(before)
    assert another.meter_count() == meters == 40


def test_a_summary_contains_readings_that_came_after_it_was_cached(
    repository: DeltaRepository,
) -> None:
    repository.write(readings_for(Fleet(devices=50, interval_minutes=60), MONDAY + DAY))
    snapshot = repository.snapshot()
    assert snapshot.day_summaries()["meters"].to_list() == [40, 50, 40]
    assert snapshot.meter_count() == 50


def test_a_day_that_received_another_reading_is_counted_again(
    repository: DeltaRepository, folder: Path
) -> None:
    repository.write(readings_for(Fleet(devices=50, interval_minutes=60), MONDAY + DAY))
    counts = DeltaRepository(str(folder)).snapshot().minute_counts(Window(MONDAY, END))["readings"]
    assert sum(counts) == 3 * 24 * 40 + 10
    assert repository.maintain()["days counted"] == 1


def test_the_cache_stays_valid_when_the_table_is_moved(
    repository: DeltaRepository, folder: Path
) -> None:
    window = Window(MONDAY + DAY)
    before = repository.snapshot().page(window, offset=100, size=50).readings
    moved = folder.rename(folder.with_name("moved"))
    page = DeltaRepository(str(moved)).snapshot().page(window, offset=100, size=50)
    assert page.readings.equals(before)
    delete_data_files(moved)
    assert DeltaRepository(str(moved)).snapshot().minute_counts(window)["readings"].sum() == 48 * 40


def test_later_readings_are_visible_at_once_and_cached_by_the_next_maintenance(
    repository: DeltaRepository, folder: Path
) -> None:
    tuesday = Window(MONDAY + DAY, MONDAY + 2 * DAY - RESOLUTION)
    repository.write(readings_for(Fleet(devices=50, interval_minutes=60), MONDAY + DAY))
    assert repository.snapshot().hourly_means(tuesday)["readings"].to_list() == [50, *[40] * 23]
    assert repository.maintain()["days summed up"] == 1
    assert cached_days(folder).count("2023-02-28") == 2
    assert repository.snapshot().hourly_means(tuesday)["readings"].to_list() == [50, *[40] * 23]


def test_an_old_snapshot_uses_the_sums_of_its_own_data_files(repository: DeltaRepository) -> None:
    old = repository.snapshot().name
    repository.write(readings_for(Fleet(devices=50, interval_minutes=60), MONDAY + DAY))
    repository.maintain()
    hours = repository.snapshot(old).hourly_means(Window(MONDAY, END))
    assert set(hours["readings"]) == {40}


def test_an_unused_file_is_deleted_after_an_hour(repository: DeltaRepository, folder: Path) -> None:
    repository.delete_before(MONDAY + DAY)
    repository.maintain()
    assert cached_days(folder) == ["2023-02-27", "2023-02-28", "2023-03-01"]
    (folder / HOURLY_SUMS / f".{uuid.uuid4()}").touch()
    over_an_hour_ago = time.time() - 3601
    for file in (folder / HOURLY_SUMS).iterdir():
        os.utime(file, (over_an_hour_ago, over_an_hour_ago))
    repository.maintain()
    assert cached_days(folder) == ["2023-02-28", "2023-03-01"]


def test_vacuum_does_not_delete_the_cache(repository: DeltaRepository, folder: Path) -> None:
    last_month = time.time() - 30 * DAY.total_seconds()
    for file in (folder / HOURLY_SUMS).iterdir():
        os.utime(file, (last_month, last_month))
    repository.maintain()
    assert len(cached_days(folder)) == 3


def test_a_day_is_cached_only_when_it_ended_more_than_a_day_ago(tmp_path: Path) -> None:
    today = MONDAY + 2 * DAY
    repository = DeltaRepository(str(tmp_path / "new"), clock=lambda: today + DAY / 2)
    for day in range(3):
        repository.write(readings_for(FLEET, today - day * DAY))
    assert repository.maintain()["days summed up"] == 1
    assert cached_days(tmp_path / "new") == ["2023-02-27"]


def test_one_maintenance_sums_up_a_limited_number_of_days_newest_first(tmp_path: Path) -> None:
    repository = DeltaRepository(str(tmp_path / "old"))
    days = [MONDAY + day * DAY for day in range(MAX_DAYS_SUMMED + 2)]
    repository.write(pl.concat(readings_for(FLEET, day) for day in days))
    assert repository.maintain()["days summed up"] == MAX_DAYS_SUMMED
    assert cached_days(tmp_path / "old")[0] == "2023-03-01"
    assert repository.maintain()["days summed up"] == 2
    assert repository.maintain()["days summed up"] == 0


def test_a_window_without_complete_days_stays_unchanged() -> None:
    end_before_start = Window(END, MONDAY)
    assert list(without_days(end_before_start, [])) == [end_before_start]
    assert list(without_days(Window(MONDAY, END), [MONDAY.date()])) == [Window(MONDAY + DAY, END)]
