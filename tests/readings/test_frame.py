"""The readings frame: format its instants, sort readings."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from readings import frame
from readings.instants import format_instant


@pytest.mark.parametrize("readings", [60, 3_000], ids=["few readings", "many"])
@pytest.mark.parametrize(
    "distinct", [1, 5, 3_000], ids=["one interval", "few", "every reading its own time"]
)
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


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], True),
        ([(1, "a")], True),
        ([(1, "a"), (1, "b"), (2, "a")], True),
        ([(1, "a"), (1, "a")], False),
        ([(1, "b"), (1, "a")], False),
        ([(2, "a"), (1, "b")], False),
    ],
)
def test_a_strict_order_has_no_row_twice(rows: list[tuple[int, str]], expected: bool) -> None:
    schema = {"time": pl.Int64(), "device_id": pl.String()}
    readings = pl.DataFrame(rows, schema, orient="row").cast({"time": frame.INSTANT})
    assert frame.is_in_strict_order(readings) == expected
