"""The checksum of readings: the documented formula, and what changes it."""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from readings import frame
from readings.copying.checksum import Checksum
from readings.instants import to_micros
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet

TIME = datetime(2023, 2, 27, 16, tzinfo=UTC)
READINGS = frame.with_full_columns(
    pl.concat(readings_for(Fleet(devices=30), time) for time in (TIME, TIME + timedelta(minutes=5)))
).with_columns(
    pl.lit(1.5).alias("import_kwh"),
    pl.when(pl.int_range(pl.len()) < 20).then(0.25).alias("kwh"),
    pl.when(pl.int_range(pl.len()) < 20).then(pl.lit("measured")).alias("quality"),
)
"""Readings of 30 meters. Some or all values of the further columns are missing."""


def checksum_of(*frames: pl.DataFrame) -> Checksum:
    checksum = Checksum()
    for each in frames:
        checksum.add(each)
    return checksum


def bytes_of(name: str, value: object) -> bytes:
    """Return a value as the documentation describes it, without Polars and NumPy."""
    if value is None:
        return b"\n" if name == "quality" else struct.pack("<q", -(2**63))
    if isinstance(value, datetime):
        return struct.pack("<q", to_micros(value))
    if isinstance(value, str):
        return value.encode() + b"\n"
    return struct.pack("<q" if name == "load" else "<d", value)


def test_the_checksum_follows_the_documented_formula() -> None:
    digests = b""
    for name in frame.FULL_COLUMNS:
        values = b"".join(bytes_of(name, value) for value in READINGS[name])
        digests += hashlib.sha256(values).digest()
    assert checksum_of(READINGS).hexdigest() == hashlib.sha256(digests).hexdigest()


def test_the_division_into_frames_does_not_matter() -> None:
    whole, divided = (
        checksum_of(READINGS),
        checksum_of(*READINGS.iter_slices(7), frame.empty(frame.FULL_COLUMNS)),
    )
    assert divided.hexdigest() == whole.hexdigest()
    assert divided.readings == whole.readings == 60


@pytest.mark.parametrize("name", [n for n in frame.FULL_COLUMNS if n != "export_kwh"])
def test_a_change_of_any_column_changes_the_checksum(name: str) -> None:
    kind = frame.FULL_SCHEMA[name]
    later = pl.col(name) + timedelta(microseconds=1) if kind == frame.INSTANT else pl.col(name) + 1
    other = pl.col(name) + "x" if kind == pl.String() else later
    changed = READINGS.with_columns(
        pl.when(pl.int_range(pl.len()) == 17).then(other).otherwise(pl.col(name)).alias(name)
    )
    before, after = checksum_of(READINGS), checksum_of(changed)
    assert after.hexdigest() != before.hexdigest()
    assert before.differing_columns(after) == [name]


def test_minus_zero_is_the_same_value_as_zero() -> None:
    zero = READINGS.with_columns(pl.lit(0.0).alias("kw"))
    minus_zero = READINGS.with_columns(pl.lit(-0.0).alias("kw"))
    assert checksum_of(zero).hexdigest() == checksum_of(minus_zero).hexdigest()


@pytest.mark.parametrize("name", ["kw", "load", "quality"])
def test_a_missing_value_is_another_value_than_zero(name: str) -> None:
    zero = READINGS.with_columns(
        pl.lit("measured" if name == "quality" else 0, frame.FULL_SCHEMA[name]).alias(name)
    )
    missing = READINGS.with_columns(pl.lit(None, frame.FULL_SCHEMA[name]).alias(name))
    assert checksum_of(zero).differing_columns(checksum_of(missing)) == [name]
