"""The readings frame: format its instants, sort readings."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from readings import frame
from readings.instants import (
    format_instant,
)


@pytest.mark.parametrize("readings", [60, 3_000], ids=["few readings", "many"])
@pytest.mark.parametrize("distinct", [1, 3_000], ids=["one interval", "every reading its own time"])
def test_instants_of_a_frame_are_formatted_like_a_single_instant(
    distinct: int, readings: int
) -> None:
    instants = [
        datetime(1, 1, 1, 0, i % distinct // 60, i % distinct % 60, 7, tzinfo=UTC)
        for i in range(readings)
    ]
    column = pl.Series(instants, dtype=frame.INSTANT)

    written = frame.with_instants_as_text(pl.DataFrame({"time": column, "arrival_time": column}))

    expected = [format_instant(instant) for instant in instants]
    assert written["time"].to_list() == written["arrival_time"].to_list() == expected


@pytest.mark.parametrize("intervals", [1, 2, 150], ids=["one interval", "few", "many"])
def test_readings_are_sorted_by_time_and_then_by_device_id(intervals: int) -> None:
    shuffled = pl.DataFrame(
        {
            "time": [
                datetime(2023, 1, 1, i % intervals // 60, i % intervals % 60, tzinfo=UTC)
                for i in range(300)
            ],
            "device_id": [str(i * 7919 % 300) for i in range(300)],
        }
    )
    assert frame.in_order(shuffled).equals(shuffled.sort("time", "device_id"))
