"""Rows of a file that differ from the stored reading of the same meter and time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from readings import frame
from readings.ingest import file_import, stored_differences
from readings.repositories import ReadingsRepository
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.ingest.loading import GOOD, HEADER, load
from tests.readings.ingest.stored_readings import all_readings

pytestmark = pytest.mark.django_db

LATER = GOOD.replace("16:00", "16:05")


def write(file: Path, *rows: str) -> Path:
    file.write_text("\n".join([HEADER, *rows, ""]))
    return file


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_rows_that_differ_are_counted_named_and_not_imported(
    store: ReadingsRepository, tmp_path: Path, options: list[str]
) -> None:
    load(write(tmp_path / "first.csv", GOOD, LATER))
    before = all_readings(store)
    changed = LATER.replace("17.674", "20.5").replace("0.217", "0.23")
    second = write(tmp_path / "second.csv", GOOD, changed, GOOD.replace("16:00", "16:10"))
    summary = load(second, *options)
    assert "1 new readings, 2 already stored, 1 row differs from what is stored" in summary
    assert [line for line in summary.splitlines() if "not imported" in line] == [
        "  not imported: line 3: kw is 20.5, but 17.674 is stored; vltg is 0.23, but 0.217 is stored"
    ]
    assert all_readings(store).head(2).equals(before)
    assert len(all_readings(store)) == (2 if options else 3)


def test_equal_rows_do_not_differ(store: ReadingsRepository, tmp_path: Path) -> None:
    file = write(tmp_path / "may.csv", GOOD, LATER)
    assert "what is stored" not in load(file)
    assert "what is stored" not in load(file)
    assert "what is stored" not in load(
        write(tmp_path / "rounded.csv", GOOD.replace("17.674", "17.6741"))
    )


@pytest.mark.parametrize("max_meters", [0, 50])
def test_all_rows_that_differ_are_counted_and_the_first_twenty_named(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_meters: int
) -> None:
    monkeypatch.setattr(file_import, "READINGS_PER_WRITE", 60)
    monkeypatch.setattr(stored_differences, "_MAX_METERS", max_meters)
    fleet = Fleet(devices=50)
    start = datetime(2023, 2, 27, 16, tzinfo=UTC)
    times = fleet.intervals(start, start + 3 * fleet.interval)
    readings = pl.concat([readings_for(fleet, time) for time in times])
    store.write(readings.head(150))
    changed = readings.with_columns(pl.col("load") + 1)
    file = tmp_path / "changed.csv"
    frame.with_instants_as_text(changed).write_csv(file)
    summary = load(file)
    assert "50 new readings, 150 already stored, 150 rows differ" in summary
    assert summary.count("not imported: line ") == 20
    assert "not imported: and 130 more rows that differ" in summary


def test_stored_readings_are_read_only_if_some_have_the_same_meter_and_time(
    store: ReadingsRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(write(tmp_path / "first.csv", GOOD))

    def refuse(snapshot: DeltaSnapshot, window: Window) -> Iterator[pl.DataFrame]:
        raise AssertionError(window)

    monkeypatch.setattr(DeltaSnapshot, "frames", refuse)
    assert "1 new readings, 0 already stored" in load(write(tmp_path / "second.csv", LATER))
