"""Parse the values of a column of a file. An invalid or empty value becomes null."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
import polars as pl

from readings import frame
from readings.device_ids import MAX_LENGTH, parse_device_id
from readings.instants import EARLIEST_INSTANT, latest_instant, parse_bounded_instant

NUMBER_TYPES = {name: frame.FULL_SCHEMA[name] for name in frame.MEASURES}
_Value = TypeVar("_Value")
_MAX_EXACT = 2**53
"""Up to this number, a float is exact for every whole number."""
OFFSET = r"(?i)\d[T ]?\d.*(?:Z|UTC|[T :]\d\d.*[+-]\d\d(?::?\d\d)?)$"
"""The pattern of a time with a UTC offset."""
_OTHER_ISO_FORM = re.compile(
    r"\d{4}-?\d{2}-?\d{2}[T ]\d{2}:?\d{2}(:?\d{2}([.,]\d{1,9})?)?( ?UTC|Z|[+-]\d{2}(:?\d{2})?)?",
    re.IGNORECASE | re.ASCII,
)
_CANONICAL_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_UUID = "^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$"
# In Polars' patterns, "--" between two characters would remove the second one.
_ASCII_WITHOUT_COMMA = rf"^[ -+\--~]{{1,{MAX_LENGTH}}}$"


@dataclass(frozen=True)
class Instants:
    """The instants of a column of times, and which of the times have a UTC offset: those are unambiguous."""

    values: pl.Series
    have_offset: pl.Series


def parse_instants(times: pl.Series) -> Instants:
    """Return the instants of texts or of datetimes. Without a UTC offset or time zone they are in UTC."""
    if isinstance(times.dtype, pl.Datetime):
        has_zone = pl.repeat(times.dtype.time_zone is not None, times.len(), eager=True)
        return Instants(_convert_instants(times, times.dtype), has_zone)
    texts = times.cast(pl.String)
    # In most files, the rows of an interval are adjacent, so there are few runs of equal times.
    runs = texts.rle().struct
    first_of_run = runs.field("value")
    if len(first_of_run) * 4 > len(texts):
        distinct = texts.unique().drop_nulls()
        parsed = texts.replace_strict(
            distinct, _parse_each(distinct), default=None, return_dtype=frame.INSTANT
        )
        return Instants(parsed, texts.str.contains(OFFSET))
    run = np.repeat(np.arange(len(first_of_run)), runs.field("len"))
    values = _parse_each(first_of_run).alias(times.name).gather(run)
    return Instants(values, first_of_run.str.contains(OFFSET).gather(run))


def parse_instant(text: str) -> datetime:
    """Return the instant of a text in a form of the contract, or in another one of ISO 8601.

    Raises ``ValueError`` for other texts, and for instants before 1970 or more than ten years ahead.
    """
    text = text.strip()
    try:
        return parse_bounded_instant(text)
    except ValueError:
        if not _OTHER_ISO_FORM.fullmatch(text):
            raise
    instant = datetime.fromisoformat(re.sub(r" ?UTC$", "Z", text.upper()))
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    try:
        return parse_bounded_instant(instant.astimezone(UTC).isoformat())
    except OverflowError:
        raise ValueError(text) from None


def parse_numbers(values: pl.Series) -> pl.Series:
    """Parse finite numbers, whole numbers even if they are written as 18.0, and power factors from -1 to 1.

    ``values`` are texts, or numbers that Polars has parsed.
    """
    if values.dtype.is_numeric():
        numbers = values.cast(pl.Float64)
    else:
        numbers = values.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    valid = numbers.is_finite()
    if values.name == "pf":
        valid &= numbers.abs() <= 1
    if values.name == "load":
        valid &= (numbers == numbers.floor()) & (numbers.abs() <= _MAX_EXACT)
    kind = NUMBER_TYPES[values.name]
    if valid.all():
        return numbers.cast(kind)
    kept = pl.when(valid).then(numbers).cast(kind)
    return pl.select(kept.alias(values.name)).to_series()


def parse_device_ids(values: pl.Series) -> pl.Series:
    """Return the canonical form of meter ids: what :func:`parse_device_id` returns for each."""
    if values.dtype.is_temporal():
        return pl.Series(values.name, [None], pl.String).new_from_index(0, len(values))
    texts = values.cast(pl.String)
    if texts.str.contains(_CANONICAL_UUID).all():
        return texts
    stripped = texts.str.strip_chars()
    with_hyphens = stripped.str.to_lowercase().str.replace(_UUID, "$1-$2-$3-$4-$5")
    is_uuid = with_hyphens.str.contains(_CANONICAL_UUID)
    is_ascii = stripped.str.contains(_ASCII_WITHOUT_COMMA)
    # Python knows which other characters are printable.
    others = texts.filter(~is_ascii).unique()
    parsed = [parse_or_none(parse_device_id, text) for text in others]
    return pl.select(
        pl.when(is_uuid)
        .then(with_hyphens)
        .when(is_ascii)
        .then(stripped)
        .otherwise(texts.replace_strict(others, parsed, default=None, return_dtype=pl.String))
        .alias(texts.name)
    ).to_series()


def parse_qualities(values: pl.Series) -> pl.Series:
    """Return the qualities in lower case."""
    texts = values.cast(pl.String)
    if texts.is_in(frame.QUALITIES).all():
        return texts
    lower = texts.str.strip_chars().str.to_lowercase()
    kept = pl.when(lower.is_in(frame.QUALITIES)).then(lower)
    return pl.select(kept.alias(texts.name)).to_series()


def parse_measure_names(values: pl.Series) -> pl.Series:
    """Return the contract's measure name for each row that has it."""
    texts = values.cast(pl.String)
    if (texts == frame.MEASURE_NAME).all():
        return texts
    is_valid = texts.str.strip_chars() == frame.MEASURE_NAME
    name = pl.when(is_valid).then(pl.lit(frame.MEASURE_NAME))
    return pl.select(name.alias(texts.name)).to_series()


def _convert_instants(values: pl.Series, kind: pl.Datetime) -> pl.Series:
    # Polars does not know zones such as +05:45. The stored number is UTC with every zone.
    utc = values.to_physical().cast(pl.Datetime(kind.time_unit, "UTC")).cast(frame.INSTANT)
    in_range = utc.is_between(EARLIEST_INSTANT, latest_instant())
    return pl.select(pl.when(in_range).then(utc).alias(values.name)).to_series()


def _parse_each(texts: pl.Series) -> pl.Series:
    return pl.Series([parse_or_none(parse_instant, text) for text in texts], dtype=frame.INSTANT)


def parse_or_none(parse: Callable[[str], _Value], text: str | None) -> _Value | None:
    """Return the parsed text, or None if it is missing or invalid."""
    if text is not None:
        with suppress(ValueError):
            return parse(text)
    return None
