"""What upkeep keeps beside a Delta table for the days that have settled: counts by minute, each meter's hours."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from readings.repositories import RepositoryUnavailableError
from readings.repositories.delta.day_cache import HOURLY_SUMS, MINUTE_COUNTS
from readings.repositories.delta.hourly_sums import MEASURED, without_days
from readings.repositories.delta.maintenance import MAX_DAYS_SUMMED
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY, RESOLUTION, Window

FLEET = Fleet(devices=40, interval_minutes=60)
MONDAY = datetime(2023, 2, 27, tzinfo=UTC)
END = MONDAY + 3 * DAY - RESOLUTION
A, B = (str(meter) for meter in FLEET.meters.device_id[:2])
WINDOWS = {
    "three days": Window(MONDAY, END),
    "a meter": Window(MONDAY, END, (A,)),
    "two meters": Window(MONDAY, END, (A, B)),
    "from noon to noon": Window(MONDAY + DAY / 2, MONDAY + 2.5 * DAY, (A,)),
    "without an end": Window(MONDAY + DAY / 2, None, (A,)),
    "within a day": Window(MONDAY + DAY / 4, MONDAY + DAY / 2, (A,)),
    "an hour's half": Window(MONDAY, MONDAY + timedelta(minutes=30), (A,)),
    "up to a day's last instant": Window(MONDAY, MONDAY + DAY - RESOLUTION, (A,)),
    "up to the next day's first": Window(MONDAY, MONDAY + DAY, (A,)),
    "nobody": Window(MONDAY, END, ("0" * 36,)),
    "what arrived in time": Window(MONDAY, END, (A,), as_of=MONDAY + 1.2 * DAY),
    "what arrived since": Window(MONDAY, END, (A,), arrived_after=MONDAY + 1.2 * DAY),
    "before all": Window(MONDAY - 2 * DAY, MONDAY - DAY, (A,)),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the table lies."""
    return tmp_path / "readings"


@pytest.fixture
def store(folder: Path) -> DeltaRepository:
    """Three days of forty meters, each hour in a file of its own."""
    store = DeltaRepository(str(folder))
    for hour in FLEET.intervals(MONDAY, END):
        store.write(readings_for(FLEET, hour))
    return store


def kept(folder: Path, kind: str = HOURLY_SUMS) -> list[str]:
    """The days of which something is kept, and nothing that was left half made."""
    return sorted(path.name[:10] for path in (folder / kind).iterdir())


def assert_same(hours: pl.DataFrame, others: pl.DataFrame) -> None:
    assert hours.schema == others.schema
    assert hours.drop(MEASURED).equals(others.drop(MEASURED))
    for name in MEASURED:
        assert hours[name].to_list() == pytest.approx(others[name].to_list(), rel=1e-6)


def test_hours_are_the_same_kept_or_not(store: DeltaRepository, folder: Path) -> None:
    before = {name: store.snapshot().hourly_means(window) for name, window in WINDOWS.items()}
    assert before["a meter"].height == 72
    assert store.maintain()["days summed up"] == 3
    assert kept(folder) == ["2023-02-27", "2023-02-28", "2023-03-01"]
    for name, window in WINDOWS.items():
        assert_same(store.snapshot().hourly_means(window), before[name])


def test_the_readings_of_a_kept_day_are_not_read(store: DeltaRepository, folder: Path) -> None:
    store.maintain()
    of_days, of_a_day_and_more = (Window(MONDAY, end, (A,)) for end in (END, END + DAY / 2))
    without_readings(folder)
    assert store.snapshot().hourly_means(of_days).height == 72
    assert store.snapshot().hourly_means(of_a_day_and_more).height == 72
    with pytest.raises(RepositoryUnavailableError):
        store.snapshot().hourly_means(Window(MONDAY + DAY / 2, END, (A,)))


def without_readings(folder: Path) -> None:
    for file in folder.glob("day=*/*.parquet"):
        file.unlink()


def test_another_process_need_not_count(store: DeltaRepository, folder: Path) -> None:
    windows = [window for window in WINDOWS.values() if window.bounds_time_only]
    before = [store.snapshot().minute_counts(window) for window in windows]
    assert store.maintain()["days counted"] == 3
    assert kept(folder, MINUTE_COUNTS) == ["2023-02-27", "2023-02-28", "2023-03-01"]
    assert store.maintain()["days counted"] == 0
    without_readings(folder)
    another = DeltaRepository(str(folder)).snapshot()
    assert all(
        another.minute_counts(window).equals(counts)
        for window, counts in zip(windows, before, strict=True)
    )


def test_a_day_that_has_changed_is_counted(store: DeltaRepository, folder: Path) -> None:
    store.maintain()
    store.write(readings_for(Fleet(devices=50, interval_minutes=60), MONDAY + DAY))
    counts = DeltaRepository(str(folder)).snapshot().minute_counts(Window(MONDAY, END))["readings"]
    assert sum(counts) == 3 * 24 * 40 + 10
    assert store.maintain()["days counted"] == 1


def test_a_table_that_was_moved_has_its_counts(store: DeltaRepository, folder: Path) -> None:
    store.maintain()
    wanted = Window(MONDAY + DAY)
    before = store.snapshot().page(wanted, offset=100, size=50).readings
    elsewhere = folder.rename(folder.with_name("elsewhere"))
    page = DeltaRepository(str(elsewhere)).snapshot().page(wanted, offset=100, size=50)
    assert page.readings.equals(before)
    without_readings(elsewhere)
    assert (
        DeltaRepository(str(elsewhere)).snapshot().minute_counts(wanted)["readings"].sum()
        == 48 * 40
    )


def test_what_comes_later_shows_at_once_and_is_kept_anew(
    store: DeltaRepository, folder: Path
) -> None:
    store.maintain()
    tuesday = Window(MONDAY + DAY, MONDAY + 2 * DAY - RESOLUTION)
    store.write(readings_for(Fleet(devices=50, interval_minutes=60), MONDAY + DAY))
    assert store.snapshot().hourly_means(tuesday)["readings"].to_list() == [50, *[40] * 23]
    assert store.maintain()["days summed up"] == 1
    assert kept(folder).count("2023-02-28") == 2
    assert store.snapshot().hourly_means(tuesday)["readings"].to_list() == [50, *[40] * 23]


def test_a_snapshot_keeps_to_its_own_hours(store: DeltaRepository) -> None:
    store.maintain()
    old = store.snapshot().name
    store.write(readings_for(Fleet(devices=50, interval_minutes=60), MONDAY + DAY))
    store.maintain()
    hours = store.snapshot(old).hourly_means(Window(MONDAY, END))
    assert set(hours["readings"]) == {40}


def test_a_file_goes_an_hour_after_its_day(store: DeltaRepository, folder: Path) -> None:
    store.maintain()
    store.delete_before(MONDAY + DAY)
    store.maintain()
    assert kept(folder) == ["2023-02-27", "2023-02-28", "2023-03-01"]
    (folder / HOURLY_SUMS / ".left-half-made").touch()
    long_ago = time.time() - 3601
    for file in (folder / HOURLY_SUMS).iterdir():
        os.utime(file, (long_ago, long_ago))
    store.maintain()
    assert kept(folder) == ["2023-02-28", "2023-03-01"]


def test_vacuum_leaves_them(store: DeltaRepository, folder: Path) -> None:
    store.maintain()
    last_month = time.time() - 30 * DAY.total_seconds()
    for file in (folder / HOURLY_SUMS).iterdir():
        os.utime(file, (last_month, last_month))
    store.maintain()
    assert len(kept(folder)) == 3


def test_a_day_is_left_to_settle(tmp_path: Path) -> None:
    store = DeltaRepository(str(tmp_path / "young"))
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for day in range(3):
        store.write(readings_for(FLEET, midnight - day * DAY))
    assert store.maintain()["days summed up"] == 1
    assert kept(tmp_path / "young") == [f"{midnight - 2 * DAY:%Y-%m-%d}"]


def test_so_many_days_are_summed_up_at_once_newest_first(tmp_path: Path) -> None:
    store = DeltaRepository(str(tmp_path / "old"))
    for day in range(MAX_DAYS_SUMMED + 2):
        store.write(readings_for(FLEET, MONDAY + day * DAY))
    assert store.maintain()["days summed up"] == MAX_DAYS_SUMMED
    assert kept(tmp_path / "old")[0] == "2023-03-01"
    assert store.maintain()["days summed up"] == 2
    assert store.maintain()["days summed up"] == 0


def test_a_window_that_holds_nothing_is_left_as_it_is() -> None:
    upside_down = Window(END, MONDAY)
    assert list(without_days(upside_down, [])) == [upside_down]
    assert list(without_days(Window(MONDAY, END), [MONDAY.date()])) == [Window(MONDAY + DAY, END)]
