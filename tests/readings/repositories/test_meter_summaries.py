"""The first and last reading of meters, and their number: equal to those of the readings, on every engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from readings import frame
from readings.repositories import ReadingsRepository
from readings.repositories.delta.repository import DeltaRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import DAY, RESOLUTION, Window
from tests.readings.repositories.engines import A_MIDNIGHT

FLEET = Fleet(devices=40, interval_minutes=20)
IDS = sorted(FLEET.meters.device_id)
UNKNOWN = "A/unknown 'meter'"
MONDAY = datetime(2023, 2, 27, tzinfo=UTC)


def some_readings(start: datetime, intervals: int) -> pl.DataFrame:
    """Return readings of a third of the fleet in each interval, always another one."""
    times = FLEET.intervals(start, start + (intervals - 1) * FLEET.interval)
    found = [readings_for(FLEET, time) for time in times]
    return pl.concat(each[n % 3 :: 3] for n, each in enumerate(found))


def summarise(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the expected summaries."""
    return (
        readings.group_by("device_id")
        .agg(
            pl.col("time").min().alias("first"),
            pl.col("time").max().alias("last"),
            pl.len().cast(pl.Int64).alias("readings"),
        )
        .sort("device_id")
    )


def test_meters_are_summarised_from_their_first_to_their_last_reading(
    repository: ReadingsRepository,
) -> None:
    readings = some_readings(A_MIDNIGHT - timedelta(hours=2), 13)
    repository.write(readings)
    snapshot = repository.snapshot()
    assert snapshot.meter_summaries([*IDS, UNKNOWN]).equals(summarise(readings))
    some = [IDS[20], IDS[3]]
    expected = summarise(readings.filter(pl.col("device_id").is_in(some)))
    assert snapshot.meter_summaries(some).equals(expected)
    assert snapshot.meter_summaries([UNKNOWN]).is_empty()
    window = Window(A_MIDNIGHT, A_MIDNIGHT + timedelta(hours=1), tuple(IDS[:12]))
    earlier = Window(A_MIDNIGHT - timedelta(hours=2), A_MIDNIGHT, tuple(IDS[12:20]))
    times = snapshot.reading_times(window, earlier).sort(frame.ORDER)
    of_windows = readings.filter(window.predicate() | earlier.predicate())
    assert times.equals(of_windows.select(frame.ORDER))
    # A correction is not another reading.
    corrected = readings.with_columns(pl.col("arrival_time") + timedelta(days=1), kw=pl.lit(1.5))
    repository.write(corrected, corrections=True)
    assert repository.snapshot().meter_summaries(some).equals(expected)


def test_the_day_cache_changes_no_summary_and_its_days_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finished days are counted by the cache, except a day that got a reading afterwards."""
    repository = DeltaRepository(str(tmp_path / "readings"))
    readings = some_readings(MONDAY + timedelta(minutes=7), 4 * 72)
    first_day = readings["time"].dt.date() == MONDAY.date()
    # A meter that stopped on the first day, and one that began on the last.
    stopped, began = (pl.col("device_id") == each for each in IDS[:2])
    readings = readings.filter(
        (~stopped | first_day) & (~began | (readings["time"] >= MONDAY + 3 * DAY))
    )
    repository.write(readings)
    repository.maintain()
    late = readings_for(FLEET, MONDAY + DAY + timedelta(hours=5, minutes=1))
    repository.write(late)
    windows: list[Window] = []
    snapshot = repository.snapshot()
    search = snapshot._reader.search_identities

    def record(window: Window) -> pl.LazyFrame:
        windows.append(window)
        return search(window)

    monkeypatch.setattr(snapshot._reader, "search_identities", record)
    assert snapshot.meter_summaries(IDS).equals(summarise(pl.concat([readings, late])))
    tuesday = Window(MONDAY + DAY, MONDAY + 2 * DAY - RESOLUTION, tuple(IDS))
    assert tuesday in windows
    lengths = [window.end - window.start for window in windows if window.end is not None]
    assert sorted(lengths)[-2:] == [
        DAY - RESOLUTION,
        MONDAY - datetime(1970, 1, 1, tzinfo=UTC) - RESOLUTION,
    ]
