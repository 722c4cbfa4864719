"""Write files as workers do: each part independently, then all parts joined."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import polars as pl

from exports.formats import FORMATS
from exports.formats.base import Section
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

Parts = list[list[pl.DataFrame]]
"""The frames of each part."""
FIRST_INTERVAL = datetime(2023, 2, 27, tzinfo=UTC)


def readings(intervals: int, meters: int = 50) -> pl.DataFrame:
    """Return the first intervals of a small fleet."""
    fleet = Fleet(devices=meters)
    return pl.concat(
        [readings_for(fleet, FIRST_INTERVAL + n * fleet.interval) for n in range(intervals)]
    )


def in_parts(readings: pl.DataFrame, *part_lengths: list[int]) -> Parts:
    """Split the readings into parts. Each argument lists the lengths of one part's frames."""
    parts, start = [], 0
    for frame_lengths in part_lengths:
        part = []
        for length in frame_lengths:
            part.append(readings.slice(start, length))
            start += length
        parts.append(part)
    assert start == len(readings)
    return parts


def written_part(name: str, frames: list[pl.DataFrame]) -> tuple[bytes, Section]:
    """Return a part's bytes and its section, as the database stores it."""
    writer = FORMATS[name].part_writer()
    content = b"".join(writer.write(frame) for frame in frames) + writer.finish()
    return content, Section(len(content), json.loads(json.dumps(writer.format_state())))


def file_of(name: str, parts: Parts) -> bytes:
    """Return the file that consists of these parts."""
    content, header_state = FORMATS[name].header()
    sections = [Section(len(content), header_state)]
    for part in parts:
        part_content, section = written_part(name, part)
        content += part_content
        sections.append(section)
    return content + FORMATS[name].footer(sections)
