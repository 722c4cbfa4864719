"""A next page within a minute of a Delta table is made of the cached text of its records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from readings import frame
from readings.records_json import Records, record_texts
from readings.repositories.delta import decoded_rows
from readings.repositories.delta.repository import DeltaRepository
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Position, Window

FLEET = Fleet(devices=30, interval_minutes=1)
START = datetime(2023, 2, 27, 23, 58, tzinfo=UTC)
TWO_DAYS = pl.concat(
    readings_for(FLEET, time) for time in FLEET.intervals(START, START + timedelta(minutes=4))
)
ODD_SECONDS = TWO_DAYS.with_columns(
    (pl.col("time") + pl.duration(seconds=pl.int_range(pl.len()) % 30)).alias("time")
).sort(frame.ORDER)
SIZES = (1, 7, 29)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded_rows, "BLOCK_ROWS", 8)


def written(folder: Path, readings: pl.DataFrame) -> DeltaRepository:
    repository = DeltaRepository(str(folder))
    repository.write(readings)
    return repository


def next_records(snapshot: DeltaSnapshot, window: Window, row: int, size: int) -> Records | None:
    """Return the records after a row of the window, and compare them with the page that is not made of text."""
    found = snapshot.frames(window, columns=frame.ORDER)
    after = Position(*pl.concat(found).row(row))
    records = snapshot.next_records(window, after, size=size, offset=row + 1)
    if records is not None:
        page = snapshot.page(window, offset=0, size=size, after=after)
        expected = Records.of(page.readings, frame.COLUMNS, offset=row + 1, more=page.more)
        assert records == expected
    return records


@pytest.mark.parametrize("readings", [TWO_DAYS, ODD_SECONDS], ids=["one time", "odd seconds"])
def test_text_is_used_for_each_page_that_ends_before_the_last_reading_of_its_minute(
    tmp_path: Path, readings: pl.DataFrame
) -> None:
    snapshot = written(tmp_path / "readings", readings).snapshot()
    meters = len(FLEET.meters.device_id)
    for row in range(len(readings)):
        for size in SIZES:
            records = next_records(snapshot, Window(START), row, size)
            assert (records is not None) == (row % meters + 1 + size < meters)
            if records is not None:
                expected = readings.slice(row + 1, size)
                assert records == Records.of(expected, frame.COLUMNS, offset=row + 1, more=True)


@pytest.mark.parametrize(
    "window",
    [
        Window(START, as_of=START + timedelta(days=1)),
        Window(START, arrived_after=START - timedelta(days=1)),
        Window(START, device_ids=tuple(FLEET.meters.device_id)),
        Window(START, START + timedelta(seconds=59)),
    ],
    ids=["as of", "arrived after", "meters", "ends within the minute"],
)
def test_a_window_that_may_not_have_the_whole_minute_uses_no_text(
    tmp_path: Path, window: Window
) -> None:
    snapshot = written(tmp_path / "readings", TWO_DAYS).snapshot()
    assert next_records(snapshot, window, 0, 1) is None


def test_the_pages_of_a_minute_with_corrections_use_no_text(tmp_path: Path) -> None:
    repository = written(tmp_path / "readings", TWO_DAYS)
    assert next_records(repository.snapshot(), Window(START), 0, 1) is not None
    corrected = TWO_DAYS.head(3).with_columns(
        pl.lit(9.5).alias("kw"), pl.col("arrival_time") + pl.duration(hours=1)
    )
    repository.write(corrected, corrections=True)
    assert next_records(repository.snapshot(), Window(START), 0, 1) is None


def test_a_position_outside_the_table_has_no_text(tmp_path: Path) -> None:
    snapshot = written(tmp_path / "readings", TWO_DAYS).snapshot()
    for time in (START - timedelta(days=1), START + timedelta(days=9)):
        after = Position(time, FLEET.meters.device_id[0])
        assert snapshot.next_records(Window(START), after, size=1, offset=0) is None


def test_the_text_of_a_block_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = written(tmp_path / "readings", TWO_DAYS).snapshot()
    written_rows = []

    def recorded(readings: pl.DataFrame) -> list[str]:
        written_rows.append(len(readings))
        return record_texts(readings)

    monkeypatch.setattr("readings.repositories.delta.record_blocks.record_texts", recorded)
    for row in range(20):
        next_records(snapshot, Window(START), row, 5)
    assert written_rows == [8, 8, 8, 8]
