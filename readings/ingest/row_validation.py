"""Parse the rows of a file into readings. Bad rows are reported with row, column and reason."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from readings import frame

ROW = "row"
"""The column with the number of a reading's row in its file. The first row after the header is 1."""
OPTIONAL_COLUMNS = {"arrival_time", "measure_name"}
MAX_REPORTED_ROWS = 20
_NUMBER_TYPES = {name: kind for name, kind in frame.SCHEMA.items() if kind.is_numeric()}
# `uuid.UUID` also accepts braces, underscores and hyphens anywhere.
_UUID = re.compile(r"[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


class BadFileError(Exception):
    """A file cannot be imported. The message is a sentence that says why, without the file's name."""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be imported.

    ``reason`` is the text after "line 5: ". If ``earlier`` is the number of another row, the text ends
    with the place of that row.
    """

    number: int
    reason: str
    earlier: int | None = None

    def describe(self, places: Mapping[int, str]) -> str:
        """Return the line of the error message. ``places`` maps a row number to a text such as "line 5"."""
        text = f"{places[self.number]}: {self.reason}"
        return f"{text} {places[self.earlier]}" if self.earlier else text


@dataclass
class BadRows:
    """The first :data:`MAX_REPORTED_ROWS` bad rows of a file, and the number of all its bad rows."""

    first: list[BadRow] = field(default_factory=list)
    count: int = 0

    def append(self, row: BadRow) -> None:
        """Count a bad row. Store it only if fewer than :data:`MAX_REPORTED_ROWS` are stored."""
        self.count += 1
        if len(self.first) < MAX_REPORTED_ROWS:
            self.first.append(row)

    def add_invalid_rows(self, rows: pl.DataFrame, readings: pl.DataFrame) -> None:
        """Add the rows of a batch in which :func:`parse_rows` found an invalid value.

        ``rows`` is what :func:`parse_rows` was given, ``readings`` is what it returned.
        """
        is_null = readings.select(pl.all().is_null())
        bad = is_null.select(pl.any_horizontal(pl.all())).to_series()
        self.count += int(bad.sum())
        room = MAX_REPORTED_ROWS - len(self.first)
        texts = rows.filter(bad).head(room).select(ROW, pl.exclude(ROW).cast(pl.String))
        invalid = is_null.filter(bad).head(room).select(texts.columns)
        for values, flags in zip(
            texts.iter_rows(named=True), invalid.iter_rows(named=True), strict=True
        ):
            wrong = {name: values[name] for name in values if flags[name]}
            every_value = len(wrong) == len(values) - 1
            self.first.append(BadRow(values[ROW], _reason(wrong, every_value=every_value)))


def map_columns(columns: list[str], names: Mapping[str, str]) -> dict[str, str]:
    """Return the contract's name for each column of a file.

    ``names`` maps names of the file to names of the contract. Other columns keep their name.

    Raises :class:`BadFileError` if a column is missing or unknown, or if a name appears twice.
    """
    absent = [name for name in names if name not in columns]
    if absent:
        raise BadFileError(f"--column: the file has no column {', '.join(absent)}.")
    mapped = {column: names.get(column, column) for column in columns}
    missing = [
        name
        for name in frame.COLUMNS
        if name not in mapped.values() and name not in OPTIONAL_COLUMNS
    ]
    if missing:
        raise BadFileError(
            f"these columns are missing: {', '.join(missing)}. "
            "If one has another name in the file, pass --column THEIRS=OURS."
        )
    unknown = [column for column, name in mapped.items() if name not in frame.SCHEMA]
    if unknown:
        raise BadFileError(f"these columns are not columns of a reading: {', '.join(unknown)}.")
    if len(set(mapped.values())) < len(mapped):
        raise BadFileError("two columns have the same name.")
    return mapped


def parse_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with the columns :data:`ROW` and those of a reading, one row for each of ``rows``.

    ``rows`` has the column :data:`ROW`. Its other columns are text; ``time`` and ``arrival_time`` may also be
    datetimes, in UTC if they have no time zone. An invalid or empty value becomes null. A missing ``arrival_time``
    column is filled with ``time`` for now, a missing ``measure_name`` column with the contract's constant.
    """
    columns = [_parse_column(rows[name]) for name in frame.COLUMNS if name in rows.columns]
    readings = pl.DataFrame([rows[ROW], *columns])
    if "arrival_time" not in rows.columns:
        readings = readings.with_columns(pl.col("time").alias("arrival_time"))
    if "measure_name" not in rows.columns:
        readings = readings.with_columns(pl.lit(frame.MEASURE_NAME).alias("measure_name"))
    return readings.select(ROW, *frame.COLUMNS)


def _parse_column(values: pl.Series) -> pl.Series:
    name = values.name
    if name in ("time", "arrival_time"):
        if isinstance(values.dtype, pl.Datetime):
            return _convert_instants(values, has_zone=values.dtype.time_zone is not None)
        return _parse_distinct(values, frame.parse_instant, frame.INSTANT)
    texts = values.cast(pl.String)
    if name in _NUMBER_TYPES:
        return _parse_numbers(texts)
    parse = _parse_device_id if name == "device_id" else _parse_measure_name
    return _parse_distinct(texts, parse, pl.String())


def _convert_instants(values: pl.Series, *, has_zone: bool) -> pl.Series:
    instants = (values if has_zone else values.dt.replace_time_zone("UTC")).cast(frame.INSTANT)
    in_range = instants.is_between(frame.FIRST_INSTANT, frame.LAST_INSTANT)
    return pl.select(pl.when(in_range).then(instants).alias(values.name)).to_series()


def _parse_numbers(texts: pl.Series) -> pl.Series:
    values = texts.str.strip_chars().cast(_NUMBER_TYPES[texts.name], strict=False)
    if texts.name == "load":
        return values
    rounded = pl.when(values.is_finite()).then(values.round(3))
    return pl.select(rounded.alias(texts.name)).to_series()


def _parse_distinct(texts: pl.Series, parse: Callable[[str], Any], kind: pl.DataType) -> pl.Series:
    """Parse each distinct text once: a file has few times and meters compared with its rows."""
    distinct = texts.unique().drop_nulls()
    values = pl.Series([_parse_or_none(parse, text) for text in distinct], dtype=kind)
    return texts.replace_strict(distinct, values, default=None, return_dtype=kind)


def _parse_or_none(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text.strip())
    except ValueError:
        return None


def _parse_device_id(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise ValueError(text)
    return str(uuid.UUID(text))


def _parse_measure_name(text: str) -> str:
    if text != frame.MEASURE_NAME:
        raise ValueError(text)
    return text


def _reason(wrong: Mapping[str, str | None], *, every_value: bool) -> str:
    """Return why a row is bad. ``wrong`` maps the names of its invalid columns to their texts."""
    if every_value and not any(wrong.values()):
        return "every value is empty"
    return "; ".join(f"{name} {_describe_invalid(name, value)}" for name, value in wrong.items())


def _describe_invalid(name: str, value: str | None) -> str:
    expected = {
        "load": "a whole number",
        "device_id": "a UUID",
        "measure_name": f"'{frame.MEASURE_NAME}'",
        "time": "a date like 2023-02-27 16:00:00.000000",
        "arrival_time": "a date like 2023-02-27 16:00:00.000000",
    }.get(name, "a number")
    return f"{value[:40]!r} is not {expected}" if value else f"is empty, it must be {expected}"
