"""Frames of minutes that have the same meters: their device ids are read once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from readings import frame
from readings.repositories.delta.data_files import scan_file
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window
from tests.readings.repositories.version_model import valid_readings

START = datetime(2023, 2, 27, tzinfo=UTC)
FLEET = Fleet(devices=40)
FIRST_HALF = list(FLEET.meters.device_id[:20])
HALF_A_MINUTE = timedelta(seconds=30)


def interval(number: int) -> pl.DataFrame:
    return readings_for(FLEET, START + number * FLEET.interval)


def in_two_times(number: int, later_meters: pl.Expr) -> pl.DataFrame:
    """An interval in which some meters send half a minute later."""
    time = pl.col("time") + pl.when(later_meters).then(HALF_A_MINUTE).otherwise(timedelta())
    return frame.in_order(interval(number).with_columns(time, arrival_time=time))


IN_FIRST_HALF = pl.col("device_id").is_in(FIRST_HALF)
LATE = pl.col("arrival_time") + pl.when(pl.int_range(pl.len()) == 7).then(
    timedelta(hours=1)
).otherwise(timedelta())
STORED = pl.concat(
    [
        interval(0),
        interval(1),
        interval(2).filter(IN_FIRST_HALF),
        interval(3).with_columns(LATE),
        interval(4).filter(IN_FIRST_HALF),
        # These two minutes have the same meters in another order.
        in_two_times(5, IN_FIRST_HALF),
        in_two_times(6, ~IN_FIRST_HALF),
    ]
)
EVERYTHING = Window(START)
CORRECTED_AT = START + timedelta(hours=3)
CORRECTIONS = pl.concat([interval(1)[3:6], interval(3)[7:9]]).with_columns(
    pl.lit(CORRECTED_AT, frame.INSTANT).alias("arrival_time"), kw=pl.lit(1.0)
)
KNOWN_METERS = "readings.repositories.delta.known_meters"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> DeltaRepository:
    """The stored readings in one file."""
    repository = DeltaRepository(str(tmp_path_factory.mktemp("table") / "readings"))
    repository.write(STORED)
    return repository


def read(repository: DeltaRepository, window: Window, frame_readings: int = 1) -> pl.DataFrame:
    frames = repository.snapshot().frames(window, frame_readings=frame_readings)
    return pl.concat([frame.empty(), *frames])


@pytest.mark.parametrize("frame_readings", [1, 90])
@pytest.mark.parametrize(
    "window",
    [
        EVERYTHING,
        Window(START + FLEET.interval, START + 5 * FLEET.interval),
        Window(START, device_ids=(FIRST_HALF[3], FIRST_HALF[11])),
        Window(START, as_of=START + 4 * FLEET.interval),
        Window(START, arrived_after=START + 3 * FLEET.interval),
    ],
    ids=["everything", "some times", "two meters", "as of", "arrived after"],
)
def test_frames_have_the_stored_readings(
    repository: DeltaRepository, window: Window, frame_readings: int
) -> None:
    expected = STORED.select(frame.COLUMNS).filter(window.predicate())
    assert_frame_equal(read(repository, window, frame_readings), expected)


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> DeltaRepository:
    """The stored readings, and a file with corrections of two minutes."""
    repository = DeltaRepository(str(tmp_path_factory.mktemp("corrected") / "readings"))
    repository.write(STORED)
    repository.write(CORRECTIONS, corrections=True)
    return repository


@pytest.mark.parametrize(
    "window",
    [
        EVERYTHING,
        Window(START, as_of=CORRECTED_AT - FLEET.interval),
        Window(START, as_of=CORRECTED_AT),
        Window(START, arrived_after=CORRECTED_AT - FLEET.interval),
        Window(START, arrived_after=START - FLEET.interval),
    ],
    ids=["everything", "before", "after", "corrections only", "arrived after"],
)
def test_frames_have_the_valid_versions(corrected: DeltaRepository, window: Window) -> None:
    versions = pl.concat([STORED, CORRECTIONS]).select(frame.COLUMNS)
    assert_frame_equal(read(corrected, window), valid_readings(versions, window))


def test_a_minute_in_two_files_says_nothing_about_the_meters_of_one_of_them(tmp_path: Path) -> None:
    repository = DeltaRepository(str(tmp_path / "readings"))
    seventh = pl.int_range(pl.len()) == 7
    repository.write(interval(0).filter(~seventh))
    repository.write(interval(0).filter(seventh))
    repository.write(interval(1).filter(~seventh))
    expected = pl.concat([interval(0), interval(1).filter(~seventh)]).select(frame.COLUMNS)
    assert_frame_equal(read(repository, EVERYTHING), expected)


def test_the_device_ids_of_the_same_meters_are_read_once(
    repository: DeltaRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns_read = []

    def spy(folder: Any, file: str, columns: tuple[str, ...]) -> pl.LazyFrame:
        columns_read.append(columns)
        return scan_file(folder, file, columns)

    monkeypatch.setattr(f"{KNOWN_METERS}.scan_file", spy)
    read(repository, EVERYTHING)
    # The minutes 1, 3 and 4. The first ones with all meters and with half of them are read completely.
    assert len(columns_read) == 3
    assert not any("device_id" in columns for columns in columns_read)


def test_too_many_meters_are_not_kept(
    repository: DeltaRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{KNOWN_METERS}._MAX_METERS", 19)
    # It would be called for known meters.
    monkeypatch.setattr(f"{KNOWN_METERS}.scan_file", None)
    assert_frame_equal(read(repository, EVERYTHING), STORED.select(frame.COLUMNS))
