"""The cache of minute counts of a Timestream table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from readings.repositories.timestream.hour_counts import COUNTED_SCHEMA, HOUR, HourCounts

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


class Table:
    """A table with one reading at the beginning of each given hour. It records the spans that are counted."""

    def __init__(self, hours: list[datetime]) -> None:
        self.hours = hours
        self.counted: list[tuple[datetime, datetime]] = []
        self.now = NOON

    def count(self, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the minute index of a span."""
        self.counted.append((start, end))
        rows = [(hour, 1, hour, hour, hour, hour, 0) for hour in self.hours if start <= hour < end]
        return pl.DataFrame(rows, schema=COUNTED_SCHEMA, orient="row")

    def clock(self) -> datetime:
        """Return the current time of the test."""
        return self.now


def hours_before_noon(*numbers: int) -> list[datetime]:
    return [NOON - number * HOUR for number in numbers]


@pytest.mark.parametrize(
    ("age", "lifetime"),
    [
        (timedelta(0), timedelta(seconds=5)),
        (timedelta(hours=10), timedelta(minutes=30)),
        (timedelta(days=300), timedelta(hours=1)),
    ],
    ids=["a new hour", "ten hours later", "an old hour"],
)
def test_counts_are_cached_for_a_twentieth_of_the_age_of_the_hour(
    age: timedelta, lifetime: timedelta
) -> None:
    hour = NOON - HOUR - age
    table = Table([hour])
    counts = HourCounts(table.count, table.clock)
    counts.index(hour, hour + HOUR)

    table.now = NOON + lifetime
    assert len(counts.index(hour, hour + HOUR)) == 1
    assert len(table.counted) == 1

    table.now = NOON + lifetime + timedelta(seconds=1)
    assert len(counts.index(hour, hour + HOUR)) == 1
    assert len(table.counted) == 2


def test_counts_are_not_cached_for_years_after_the_clock_is_set_back() -> None:
    hour = NOON - 2 * HOUR
    table = Table([hour])
    counts = HourCounts(table.count, table.clock)
    table.now = NOON + timedelta(days=3650)
    counts.index(hour, hour + HOUR)
    table.now = NOON
    counts.index(hour, hour + HOUR)
    assert len(table.counted) == 2


def test_an_empty_hour_is_counted_each_time() -> None:
    table = Table([])
    counts = HourCounts(table.count, table.clock)
    for _ in range(2):
        assert len(counts.index(NOON - 3 * HOUR, NOON - 2 * HOUR)) == 0
    assert len(table.counted) == 2


def test_only_the_hours_that_are_not_cached_are_counted() -> None:
    table = Table(hours_before_noon(9, 8, 7, 6, 5))
    counts = HourCounts(table.count, table.clock)
    counts.index(NOON - 8 * HOUR, NOON - 6 * HOUR)
    table.counted.clear()

    assert len(counts.index(NOON - 9 * HOUR, NOON - 4 * HOUR)) == 5
    assert table.counted == [
        (NOON - 9 * HOUR, NOON - 8 * HOUR),
        (NOON - 6 * HOUR, NOON - 4 * HOUR),
    ]


def test_many_gaps_are_counted_by_one_query() -> None:
    cached = hours_before_noon(20, 18, 16, 14, 12)
    table = Table(cached)
    counts = HourCounts(table.count, table.clock)
    for hour in cached:
        counts.index(hour, hour + HOUR)
    table.counted.clear()

    assert len(counts.index(NOON - 21 * HOUR, NOON - 10 * HOUR)) == 5
    assert table.counted == [(NOON - 21 * HOUR, NOON - 10 * HOUR)]


def test_forgotten_hours_are_counted_again() -> None:
    table = Table(hours_before_noon(9, 8, 7))
    counts = HourCounts(table.count, table.clock)
    counts.index(NOON - 9 * HOUR, NOON - 6 * HOUR)
    table.counted.clear()

    counts.forget(NOON - 8 * HOUR + timedelta(minutes=20), NOON - 8 * HOUR + timedelta(minutes=40))
    counts.index(NOON - 9 * HOUR, NOON - 6 * HOUR)
    assert table.counted == [(NOON - 8 * HOUR, NOON - 7 * HOUR)]

    counts.forget(NOON - 8 * HOUR, None)
    counts.index(NOON - 9 * HOUR, NOON - 6 * HOUR)
    assert table.counted[1:] == [(NOON - 8 * HOUR, NOON - 6 * HOUR)]
