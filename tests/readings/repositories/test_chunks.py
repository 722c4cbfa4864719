"""Splitting minute counts into chunks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from readings.repositories.chunks import Chunk, split_into_chunks
from readings.repositories.minute_index import MINUTE_COUNTS_SCHEMA

START = datetime(2024, 1, 1, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)


def counts_of(*readings: int) -> pl.DataFrame:
    """Return minute counts of consecutive five-minute intervals."""
    minutes = [START + number * FIVE_MINUTES for number in range(len(readings))]
    return pl.DataFrame(
        {"minute": minutes, "readings": list(readings)}, schema=MINUTE_COUNTS_SCHEMA
    )


def test_no_minutes_make_no_chunk() -> None:
    assert split_into_chunks(counts_of(), 10) == []


def test_minutes_that_fit_together_make_one_chunk() -> None:
    [chunk] = split_into_chunks(counts_of(3, 3, 4), 10)

    assert chunk == Chunk(START, START + 2 * FIVE_MINUTES, 10)


def test_a_new_chunk_begins_when_the_next_minute_does_not_fit() -> None:
    chunks = split_into_chunks(counts_of(5, 5, 1, 9), 10)

    assert [chunk.readings for chunk in chunks] == [10, 10]
    assert [chunk.first_minute for chunk in chunks] == [START, START + 2 * FIVE_MINUTES]
    assert [chunk.last_minute for chunk in chunks] == [
        START + FIVE_MINUTES,
        START + 3 * FIVE_MINUTES,
    ]


def test_a_minute_is_never_split() -> None:
    chunks = split_into_chunks(counts_of(25, 25, 25), 10)

    assert [chunk.readings for chunk in chunks] == [25, 25, 25]


@pytest.mark.parametrize("size", [1, 7, 100, 1_000])
def test_chunks_hold_every_minute_once_and_are_about_as_large_as_requested(size: int) -> None:
    counts = counts_of(*(1 + number * 37 % 50 for number in range(200)))
    chunks = split_into_chunks(counts, size)

    held = [
        counts.filter(pl.col("minute").is_between(chunk.first_minute, chunk.last_minute))
        for chunk in chunks
    ]
    assert pl.concat(held).equals(counts)
    assert [int(each["readings"].sum()) for each in held] == [chunk.readings for chunk in chunks]
    largest_minute = 50
    assert all(size - largest_minute <= chunk.readings for chunk in chunks[:-1])
    assert all(chunk.readings < size + largest_minute for chunk in chunks)


def test_a_chunk_ends_with_the_last_instant_of_its_last_minute() -> None:
    [chunk] = split_into_chunks(counts_of(1, 1), 10)

    assert chunk.start == START
    assert chunk.end == START + FIVE_MINUTES + timedelta(seconds=59, microseconds=999_999)
