"""The page finder, with a reader that records what it reads from a data frame."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from readings import frame
from readings.repositories.chunks import Chunk
from readings.repositories.minute_index import MinuteCounts, MinuteIndex
from readings.repositories.page_finder import PageFinder
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.window import Window

FLEET = Fleet(devices=10)
START = datetime(2024, 1, 1, tzinfo=UTC)
INTERVALS = 100
END = START + (INTERVALS - 1) * FLEET.interval
MINUTE_OF_TIME = pl.col("time").dt.truncate("1m").alias("minute")


class FrameReader:
    """A :class:`MinuteReader` of one readings frame."""

    columns = frame.COLUMNS

    def __init__(self, readings: pl.DataFrame) -> None:
        self.readings = readings
        self.minutes_read: list[datetime] = []
        self.minutes_counted = 0

    def indexes(self, window: Window) -> Iterable[MinuteIndex]:
        """Two indexes: one of each half of the readings."""
        half = self.readings["time"][len(self.readings) // 2]
        for part in (
            self.readings.filter(pl.col("time") < half),
            self.readings.filter(pl.col("time") >= half),
        ):
            yield MinuteIndex(
                part.group_by(MINUTE_OF_TIME)
                .agg(
                    pl.len().cast(pl.Int64).alias("readings"),
                    pl.col("time").min().alias("first"),
                    pl.col("time").max().alias("last"),
                    pl.col("arrival_time").min().alias("first_arrival"),
                    pl.col("arrival_time").max().alias("last_arrival"),
                )
                .sort("minute")
            )

    def count(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        """Count the window's readings from the first to the last minute."""
        counts = (
            self._between(window, first, last)
            .group_by(MINUTE_OF_TIME)
            .agg(pl.len().cast(pl.Int64).alias("readings"))
            .sort("minute")
        )
        self.minutes_counted += int((last - first) / FLEET.interval) + 1
        return counts

    def read(self, window: Window, minutes: MinuteCounts, *, skip: int, limit: int) -> pl.DataFrame:
        """Read a slice of some minutes."""
        readings = self._between(window, minutes.first_minute, minutes.last_minute)
        self.minutes_read += readings["time"].unique().sort().to_list()
        return readings.slice(skip, limit)

    def read_chunk(self, window: Window, chunk: Chunk) -> pl.DataFrame:
        """Read all readings of a chunk."""
        return self._between(window, chunk.first_minute, chunk.last_minute)

    def _between(self, window: Window, first: datetime, last: datetime) -> pl.DataFrame:
        inside = pl.col("time").is_between(first, last + timedelta(seconds=59))
        return self.readings.filter(inside & window.predicate())


@pytest.fixture(scope="module")
def everything() -> pl.DataFrame:
    """A hundred intervals of ten meters."""
    return pl.concat([readings_for(FLEET, time) for time in FLEET.intervals(START, END)])


@pytest.fixture
def reader(everything: pl.DataFrame) -> FrameReader:
    """A reader that has read nothing yet."""
    return FrameReader(everything)


@pytest.mark.parametrize("offset", [0, 5, 10, 495, 500, 505, 990, 995])
def test_a_page_reads_only_the_minutes_that_hold_it(
    reader: FrameReader, everything: pl.DataFrame, offset: int
) -> None:
    page = PageFinder(reader).page(Window(START), offset=offset, size=5)

    assert page.readings.equals(everything.slice(offset, 5))
    assert page.more == (offset + 5 < len(everything))
    # One reading after the page is read too. It tells whether another page follows.
    needed = everything.slice(offset, 6)["time"].unique().sort().to_list()
    assert reader.minutes_read == needed
    assert reader.minutes_counted == 0


def test_a_page_after_the_last_reading_is_empty_and_reads_nothing(reader: FrameReader) -> None:
    page = PageFinder(reader).page(Window(START), offset=1_000, size=5)

    assert page.readings.equals(frame.empty())
    assert not page.more
    assert reader.minutes_read == []


def test_minutes_that_are_partly_in_the_window_are_counted_a_few_at_first(
    reader: FrameReader, everything: pl.DataFrame
) -> None:
    one_meter = Window(START, END, (FLEET.meters.device_id[3],))
    expected = everything.filter(one_meter.predicate())

    page = PageFinder(reader).page(one_meter, offset=2, size=5)
    assert page.readings.equals(expected.slice(2, 5))
    assert reader.minutes_counted < INTERVALS

    assert PageFinder(reader).minute_counts(one_meter)["readings"].to_list() == [1] * INTERVALS


def test_frames_hold_whole_minutes_and_about_the_requested_readings(
    reader: FrameReader, everything: pl.DataFrame
) -> None:
    frames = list(PageFinder(reader).frames(Window(START), frame_readings=35))

    assert pl.concat(frames).equals(everything)
    assert [len(readings) for readings in frames[:3]] == [30, 40, 30]


def test_a_window_without_readings_has_no_frames(reader: FrameReader) -> None:
    before = Window(START - timedelta(days=2), START - timedelta(days=1))

    assert list(PageFinder(reader).frames(before)) == []
    assert PageFinder(reader).minute_counts(before).is_empty()
