"""Rows of a file with other values than the stored reading of the same meter and time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from readings import frame
from readings.ingest import chunk_writer, corrections, file_import
from readings.repositories import ReadingsRepository
from readings.repositories.delta.repository import DeltaRepository
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.ingest.loading import GOOD, HEADER, METER, load
from tests.readings.ingest.stored_readings import all_readings, all_versions

pytestmark = pytest.mark.django_db

LATER = GOOD.replace("16:00", "16:05")
CHANGED = LATER.replace("17.674", "20.5").replace("0.217", "0.23")
FIRST, SECOND = (f"2023-02-{day} 12:00:00.000000" for day in (27, 28))
THIRD = "2023-03-01 12:00:00.000000"


def write(file: Path, *rows: str, header: str = HEADER) -> Path:
    file.write_text("\n".join([header, *rows, ""]))
    return file


def version(arrival: str, kw: float, time: str = "2023-02-27 11:00") -> str:
    return f"{time},{METER},{kw},{arrival}"


def write_versions(file: Path, *rows: str) -> Path:
    return write(file, *rows, header="time,device_id,kw,arrival_time")


def test_a_row_with_other_values_corrects_the_stored_reading(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    load(write(tmp_path / "first.csv", GOOD, LATER))
    before = all_readings(store)
    loaded_at = datetime.now(UTC)
    second = write(tmp_path / "second.csv", GOOD, CHANGED, GOOD.replace("16:00", "16:10"))
    summary = load(second)
    assert "1 new reading, 1 already stored, 1 corrected\n" in summary
    assert all_readings(store)["kw"].to_list() == [17.674, 20.5, 17.674]
    assert all_readings(store).head(1).equals(before.head(1))
    assert all_readings(store)["arrival_time"][1] >= loaded_at
    assert (
        all_versions(store)
        .filter(pl.col("kw") == 17.674)["arrival_time"]
        .head(2)
        .equals(before["arrival_time"])
    )
    assert "0 new readings, 3 already stored\n" in load(second)
    assert len(all_versions(store)) == 4


def test_a_dry_run_lists_the_corrections_and_writes_nothing(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    load(write(tmp_path / "first.csv", GOOD, LATER))
    before = all_versions(store)
    summary = load(write(tmp_path / "second.csv", GOOD, CHANGED), "--dry-run")
    assert "0 new readings, 1 already stored, 1 corrected\n" in summary
    assert [line for line in summary.splitlines() if "correction" in line] == [
        f"  correction: line 3: {METER} at 2023-02-27 16:05:00.000000: "
        "kw is 20.5, but 17.674 is stored; vltg is 0.23, but 0.217 is stored"
    ]
    assert all_versions(store).equals(before)


@pytest.mark.parametrize("max_meters", [0, 50])
def test_a_dry_run_counts_all_corrections_and_lists_the_first_twenty(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_meters: int
) -> None:
    monkeypatch.setattr(file_import, "READINGS_PER_WRITE", 60)
    monkeypatch.setattr(corrections, "_MAX_METERS", max_meters)
    fleet = Fleet(devices=50)
    start = datetime(2023, 2, 27, 16, tzinfo=UTC)
    times = fleet.intervals(start, start + 3 * fleet.interval)
    readings = pl.concat([readings_for(fleet, time) for time in times])
    store.write(readings.head(150))
    changed = readings.with_columns(pl.col("load") + 1, pl.col("arrival_time") + timedelta(days=1))
    file = tmp_path / "changed.csv"
    frame.with_instants_as_text(changed).write_csv(file)
    summary = load(file, "--dry-run")
    assert "50 new readings, 0 already stored, 150 corrected" in summary
    assert summary.count("correction: line ") == 20
    assert "correction: and 130 more corrections" in summary
    assert "correction:" not in load(file)
    assert all_readings(store).equals(changed)
    assert "0 new readings, 200 already stored\n" in load(file)


def test_an_import_that_was_killed_between_two_writes_corrects_nothing_when_it_is_repeated(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_import, "READINGS_PER_WRITE", 1)
    file = write(tmp_path / "may.csv", GOOD, LATER)
    write_readings = DeltaRepository.write

    def write_first_only(
        repository: DeltaRepository, readings: pl.DataFrame, *, corrections: bool = False
    ) -> int:
        if readings["time"][0].minute:
            raise KeyboardInterrupt
        return write_readings(repository, readings, corrections=corrections)

    monkeypatch.setattr(DeltaRepository, "write", write_first_only)
    with pytest.raises(SystemExit):
        load(file)
    monkeypatch.setattr(DeltaRepository, "write", write_readings)
    assert "1 new reading, 1 already stored\n" in load(file)
    assert len(all_versions(store)) == 2


@pytest.mark.parametrize("other_kw", [17.674, 20.5])
def test_a_reading_that_another_process_stores_at_the_same_time_is_corrected(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_kw: float
) -> None:
    """The other process writes after this one has looked at what is stored, and before it writes."""
    file = write(tmp_path / "may.csv", GOOD, LATER)
    load(file)
    stored = all_readings(store)
    store.delete_before(datetime(2023, 3, 1, tzinfo=UTC))
    write_readings = DeltaRepository.write

    def write_second(
        repository: DeltaRepository, readings: pl.DataFrame, *, corrections: bool = False
    ) -> int:
        monkeypatch.setattr(DeltaRepository, "write", write_readings)
        repository.write(stored.head(1).with_columns(kw=pl.lit(other_kw)))
        return repository.write(readings, corrections=corrections)

    monkeypatch.setattr(DeltaRepository, "write", write_second)
    same = other_kw == 17.674
    counts = "1 already stored" if same else "0 already stored, 1 corrected"
    assert f"1 new reading, {counts}\n" in load(file)
    assert all_readings(store)["kw"].to_list() == [17.674, 17.674]
    assert len(all_versions(store)) == (2 if same else 3)


def test_with_an_arrival_time_each_version_is_stored_once_in_any_order(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    summary = load(write_versions(tmp_path / "b.csv", version(SECOND, 2.0)))
    assert "1 new reading, 0 already stored\n" in summary
    every = write_versions(
        tmp_path / "all.csv", version(THIRD, 1.0), version(FIRST, 1.0), version(SECOND, 2.0)
    )
    counts = "0 new readings, 1 already stored, 1 corrected, 1 older version"
    summary = load(every, "--dry-run")
    assert counts in summary
    assert "line 2: " in summary
    assert "kw is 1.0, but 2.0 is stored" in summary
    assert counts in load(every)
    assert all_versions(store)["kw"].to_list() == [1.0, 2.0, 1.0]
    assert all_readings(store)["kw"].to_list() == [1.0]
    assert "0 new readings, 3 already stored\n" in load(every)


def test_the_versions_of_a_reading_may_be_in_one_file(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    rows = [version(SECOND, 2.0), version(FIRST, 1.0), version(FIRST, 1.0, "2023-02-27 11:05")]
    file = write_versions(tmp_path / "all.csv", *rows)
    summary = load(file, "--dry-run")
    assert "2 new readings, 0 already stored, 1 corrected" in summary
    assert "line 2: " in summary
    assert "kw is 2.0, but 1.0 is in another row of the file" in summary
    assert "2 new readings, 0 already stored, 1 corrected" in load(file)
    assert all_versions(store)["kw"].to_list() == [1.0, 2.0, 1.0]
    assert "0 new readings, 3 already stored\n" in load(file)


@pytest.mark.parametrize("other_kw", [None, 2.5])
def test_rows_are_compared_and_stored_in_small_parts(
    store: ReadingsRepository,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    other_kw: float | None,
) -> None:
    """This limits memory. With ``other_kw``, another process stores a reading at the same time."""
    times = [f"2023-02-27 11:{minute:02}" for minute in range(0, 30, 5)]
    load(
        write_versions(tmp_path / "first.csv", *(version(SECOND, 1.0, time) for time in times[1:]))
    )
    compared: list[int] = []
    compare, write_readings = corrections.compare_with_stored, DeltaRepository.write

    def recorded(rows: pl.DataFrame, *others: Any) -> corrections.Comparison:
        compared.append(len(rows))
        return compare(rows, *others)

    def write_second(repository: DeltaRepository, readings: pl.DataFrame, **options: bool) -> int:
        monkeypatch.setattr(DeltaRepository, "write", write_readings)
        if other_kw is not None:
            repository.write(readings.head(1).with_columns(kw=pl.lit(other_kw)))
        return repository.write(readings, **options)

    monkeypatch.setattr(chunk_writer, "compare_with_stored", recorded)
    monkeypatch.setattr(chunk_writer, "_ROWS_PER_COMPARISON", 2)
    monkeypatch.setattr(DeltaRepository, "write", write_second)
    versions = [version(arrival, 3.0, times[1]) for arrival in (FIRST, SECOND, THIRD)]
    others = [version(THIRD, 2.0, time) for time in times[2:]]
    file = write_versions(tmp_path / "all.csv", version(THIRD, 2.0, times[0]), *versions, *others)
    summary = load(file)
    new, conflicting = (1, 1) if other_kw is None else (0, 2)
    assert f"{new} new reading" in summary
    assert f"0 already stored, 5 corrected, 1 older version, {conflicting} conflicting" in summary
    assert compared == [4, 2, 2] * (1 if other_kw is None else 2)
    valid = [2.0 if other_kw is None else other_kw, 3.0, 2.0, 2.0, 2.0, 2.0]
    assert all_readings(store)["kw"].to_list() == valid


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_of_two_versions_with_the_same_arrival_time_the_first_stays_and_the_other_is_named(
    store: ReadingsRepository, tmp_path: Path, options: list[str]
) -> None:
    load(write_versions(tmp_path / "first.csv", version(FIRST, 1.0)))
    summary = load(write_versions(tmp_path / "second.csv", version(FIRST, 2.0)), *options)
    assert "0 new readings, 0 already stored, 1 conflicting" in summary
    assert (
        f"not imported: line 2: {METER} at 2023-02-27 11:00:00.000000: "
        "kw is 2.0, but 1.0 is stored, with the same or a later arrival_time"
    ) in summary
    assert all_versions(store)["kw"].to_list() == [1.0]


def test_readings_that_arrive_at_their_time_do_not_correct_a_stored_one(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    load(write(tmp_path / "first.csv", GOOD))
    changed = write(tmp_path / "second.csv", GOOD.replace("17.674", "20.5"))
    assert "1 conflicting" in load(changed, "--arrival", "time")
    assert len(all_versions(store)) == 1


def test_a_correction_keeps_the_stored_values_of_columns_that_the_file_does_not_have(
    store: ReadingsRepository, tmp_path: Path
) -> None:
    load(write(tmp_path / "first.csv", f"{GOOD},1.5", header=f"{HEADER},kwh"))
    energy = write(
        tmp_path / "second.csv",
        f"2023-02-27 16:00,{METER},1.6,Estimated",
        header="time,device_id,kwh,quality",
    )
    assert "1 corrected" in load(energy)
    [reading] = all_readings(store, ["kw", "kwh", "quality"]).rows()
    assert reading == (17.674, 1.6, "estimated")
    assert "0 new readings, 1 already stored\n" in load(energy)
    empty = write(
        tmp_path / "third.csv", f"2023-02-27 16:00,{METER},,1.6", header="time,device_id,kw,kwh"
    )
    assert "kw is empty, but 17.674 is stored" in load(empty, "--dry-run")
    load(empty)
    [reading] = all_readings(store, ["kw", "kwh", "quality"]).rows()
    assert reading == (None, 1.6, "estimated")


def test_equal_rows_do_not_differ(store: ReadingsRepository, tmp_path: Path) -> None:
    file = write(tmp_path / "may.csv", GOOD, LATER)
    assert "corrected" not in load(file)
    assert "corrected" not in load(file)
    assert "corrected" not in load(
        write(tmp_path / "rounded.csv", GOOD.replace("17.674", "17.6741"))
    )


def test_stored_readings_are_read_only_if_some_have_the_same_meter_and_time(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(write(tmp_path / "first.csv", GOOD))

    def refuse(snapshot: DeltaSnapshot, window: Window) -> Iterator[pl.DataFrame]:
        raise AssertionError(window)

    monkeypatch.setattr(DeltaSnapshot, "versions", refuse)
    assert "1 new reading, 0 already stored" in load(write(tmp_path / "second.csv", LATER))
