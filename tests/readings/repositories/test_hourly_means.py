"""The hourly means of a window whose last readings are in memory equal those of the repository."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from readings import frame
from readings.repositories import ReadingsRepository
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.repositories.hourly_means import HOURLY_COLUMNS, hourly_means_with_last_day
from readings.window import Window
from tests.readings.repositories.engines import A_MIDNIGHT

METER = "6102000001"
HOURS = 50
"""The readings begin 20 hours before a midnight. They end on the second day after it."""
FIRST, LAST = A_MIDNIGHT - timedelta(hours=20), A_MIDNIGHT + timedelta(hours=HOURS - 21, minutes=30)
DAY = timedelta(days=1)


def readings_of_a_meter() -> pl.DataFrame:
    """Return two readings an hour: some are late, some have no energy, and an hour has no value at all."""
    times = [FIRST + n * timedelta(minutes=30) for n in range(2 * HOURS)]
    numbers = range(len(times))
    without_values = {60, 61}
    measures = {
        name: [None if n in without_values or n % step == 0 else n / step for n in numbers]
        for name, step in {"kw": 7, "vltg": 11, "crrnt": 13, "pf": 17, "kwh": 5}.items()
    }
    arrivals = [time + timedelta(hours=n % 3) for n, time in enumerate(times)]
    return frame.with_full_columns(
        pl.DataFrame(
            {
                "device_id": [METER] * len(times),
                "time": pl.Series(times, dtype=frame.INSTANT),
                "arrival_time": pl.Series(arrivals, dtype=frame.INSTANT),
                **{name: pl.Series(values, dtype=pl.Float64) for name, values in measures.items()},
            }
        )
    )


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (FIRST, LAST),
        (FIRST, LAST + timedelta(hours=20)),
        (FIRST + timedelta(minutes=40), A_MIDNIGHT),
        (A_MIDNIGHT, A_MIDNIGHT + timedelta(hours=5)),
        (FIRST - timedelta(days=40), FIRST - timedelta(days=20)),
    ],
    ids=[
        "last day",
        "the readings of the last day are not all known",
        "midnight",
        "one day",
        "no readings",
    ],
)
def test_they_equal_those_of_the_repository(
    store: ReadingsRepository, start: datetime, end: datetime
) -> None:
    store.write(readings_of_a_meter())
    snapshot = store.snapshot()
    window = Window(start, end, device_ids=(METER,))
    last = replace(window, start=max(start, end - DAY))
    known = snapshot.page(last, offset=0, size=1_000, columns=HOURLY_COLUMNS).readings
    found = hourly_means_with_last_day(snapshot, window, last, known)
    assert_frame_equal(found, snapshot.hourly_means(window))


def test_the_readings_in_memory_are_not_read_again(
    store: ReadingsRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(readings_of_a_meter())
    snapshot = store.snapshot()
    window = Window(FIRST, LAST, device_ids=(METER,))
    last = replace(window, start=LAST - DAY)
    known = snapshot.page(last, offset=0, size=1_000, columns=HOURLY_COLUMNS).readings
    ends: list[datetime | None] = []
    hourly_means = DeltaSnapshot.hourly_means

    def recorded(self: DeltaSnapshot, window: Window) -> pl.DataFrame:
        ends.append(window.end)
        return hourly_means(self, window)

    monkeypatch.setattr(DeltaSnapshot, "hourly_means", recorded)
    hourly_means_with_last_day(snapshot, window, last, known)
    midnight = datetime(LAST.year, LAST.month, LAST.day, tzinfo=UTC)
    assert ends == [midnight - timedelta(microseconds=1)]
