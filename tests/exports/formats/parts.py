"""Files put together from parts that were written apart, as workers and the closing do it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import polars as pl

from exports.formats import FORMATS
from exports.formats.base import Stretch
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

Parts = list[list[pl.DataFrame]]
FIRST = datetime(2023, 2, 27, tzinfo=UTC)


def readings(intervals: int, meters: int = 50) -> pl.DataFrame:
    """The first ``intervals`` of a small fleet."""
    fleet = Fleet(devices=meters)
    return pl.concat([readings_for(fleet, FIRST + n * fleet.interval) for n in range(intervals)])


def in_parts(whole: pl.DataFrame, *lengths: list[int]) -> Parts:
    """The frame cut into parts, of which each is a list of its frames' lengths."""
    parts, start = [], 0
    for frames in lengths:
        part = []
        for length in frames:
            part.append(whole.slice(start, length))
            start += length
        parts.append(part)
    assert start == len(whole)
    return parts


def written_part(name: str, frames: list[pl.DataFrame]) -> tuple[bytes, Stretch]:
    """A part's bytes, and what is known of it afterwards."""
    writer = FORMATS[name].part()
    content = b"".join(writer.rows(each) for each in frames) + writer.end()
    # As the database keeps it.
    return content, Stretch(len(content), json.loads(json.dumps(writer.note())))


def file_of(name: str, parts: Parts) -> bytes:
    """The parts written apart, and put behind each other."""
    content, note = FORMATS[name].opening()
    stretches = [Stretch(len(content), note)]
    for part in parts:
        written, stretch = written_part(name, part)
        content += written
        stretches.append(stretch)
    return content + FORMATS[name].closing(stretches)
