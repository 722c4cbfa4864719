"""Rows of a file from outside, turned into readings or named as bad: by row, column and reason."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl

from readings import frame

ROW = "row"
"""The column that tells which row of its file a reading comes from; the first is 1."""
MAY_BE_MISSING = {"arrival_time", "measure_name"}
NAMED_BAD_ROWS = 20
_NUMBERS = {"load": pl.Int64, **dict.fromkeys(("crrnt", "pf", "kva", "kw", "vltg"), pl.Float64)}
# Python's own reader of UUIDs takes underscores and braces too.
_UUID = re.compile(r"[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
_LAST_INSTANT = datetime.max.replace(tzinfo=UTC)


class BadFileError(Exception):
    """A file that cannot be loaded; the message says why."""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be loaded, why, and the earlier row that the reason speaks of, if any."""

    number: int
    reason: str
    earlier: int | None = None


@dataclass
class BadRows:
    """The first bad rows of a file, and how many there are in all."""

    first: list[BadRow] = field(default_factory=list)
    count: int = 0

    def append(self, row: BadRow) -> None:
        """Take up one row."""
        self.count += 1
        if len(self.first) < NAMED_BAD_ROWS:
            self.first.append(row)

    def add_unread(self, rows: pl.DataFrame, readings: pl.DataFrame) -> None:
        """Take up the rows that :func:`converted` could not read whole."""
        unread = readings.select(pl.all().is_null())
        bad = unread.select(pl.any_horizontal(pl.all())).to_series()
        self.count += int(bad.sum())
        room = NAMED_BAD_ROWS - len(self.first)
        given = rows.filter(bad).head(room).select(ROW, pl.exclude(ROW).cast(pl.String))
        missing = unread.filter(bad).head(room).select(given.columns)
        for values, flags in zip(
            given.iter_rows(named=True), missing.iter_rows(named=True), strict=True
        ):
            wrong = {name: values[name] for name in values if flags[name]}
            self.first.append(
                BadRow(values[ROW], _reason(wrong, whole=len(wrong) == len(values) - 1))
            )


def renamed(columns: list[str], names: Mapping[str, str]) -> dict[str, str]:
    """The file's columns as the contract's, ``names`` applied.

    Raises :class:`BadFileError` that names what is missing, unknown or there twice.
    """
    absent = [name for name in names if name not in columns]
    if absent:
        raise BadFileError(f"--column: there is no column {', '.join(absent)} to rename.")
    ours = {column: names.get(column, column) for column in columns}
    unknown = [column for column, name in ours.items() if name not in frame.SCHEMA]
    missing = [
        name for name in frame.COLUMNS if name not in ours.values() and name not in MAY_BE_MISSING
    ]
    if missing:
        raise BadFileError(
            f"the columns {', '.join(missing)} are missing; --column THEIRS=OURS renames one."
        )
    if unknown:
        raise BadFileError(f"the columns {', '.join(unknown)} are none of a reading's.")
    if len(set(ours.values())) < len(ours):
        raise BadFileError("two columns have the same name.")
    return ours


def converted(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of texts (instants may come as such) as readings with their :data:`ROW`.

    A value that cannot be read, or is not there, is null.
    """
    columns = [_column(rows[name]) for name in frame.COLUMNS if name in rows.columns]
    readings = pl.DataFrame([rows[ROW], *columns])
    if "arrival_time" not in rows.columns:
        readings = readings.with_columns(pl.col("time").alias("arrival_time"))
    if "measure_name" not in rows.columns:
        readings = readings.with_columns(pl.lit(frame.MEASURE_NAME).alias("measure_name"))
    return readings.select(ROW, *frame.COLUMNS)


def _column(given: pl.Series) -> pl.Series:
    name = given.name
    if name in ("time", "arrival_time"):
        if isinstance(given.dtype, pl.Datetime):
            return _instants(given, zoned=given.dtype.time_zone is not None)
        return _by_distinct(given, _instant, frame.INSTANT)
    texts = given.cast(pl.String)
    if name in _NUMBERS:
        return _numbers(texts)
    return _by_distinct(texts, _meter if name == "device_id" else _measure, pl.String())


def _instants(given: pl.Series, *, zoned: bool) -> pl.Series:
    instants = (given if zoned else given.dt.replace_time_zone("UTC")).cast(frame.INSTANT)
    within = instants.is_between(_FIRST_INSTANT, _LAST_INSTANT)
    return pl.select(pl.when(within).then(instants).alias(given.name)).to_series()


def _numbers(texts: pl.Series) -> pl.Series:
    values = texts.str.strip_chars().cast(_NUMBERS[texts.name], strict=False)
    if texts.name == "load":
        return values
    rounded = pl.when(values.is_finite()).then(values.round(3))
    return pl.select(rounded.alias(texts.name)).to_series()


def _by_distinct(texts: pl.Series, read: Callable[[str], Any], kind: pl.DataType) -> pl.Series:
    """Read each distinct text once: a file has few times and meters for its many rows."""
    distinct = texts.unique().drop_nulls()
    values = pl.Series([_or_none(read, text) for text in distinct], dtype=kind)
    return texts.replace_strict(distinct, values, default=None, return_dtype=kind)


def _or_none(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text.strip())
    except ValueError:
        return None


def _instant(text: str) -> datetime:
    return frame.parse_instant(text)


def _meter(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise ValueError(text)
    return str(uuid.UUID(text))


def _measure(text: str) -> str:
    if text != frame.MEASURE_NAME:
        raise ValueError(text)
    return text


def _reason(wrong: Mapping[str, str | None], *, whole: bool) -> str:
    if whole and not any(wrong.values()):
        return "every value is empty"
    return "; ".join(f"{name} {_complaint(name, value)}" for name, value in wrong.items())


def _complaint(name: str, value: str | None) -> str:
    wanted = {
        "load": "a whole number",
        "device_id": "a UUID",
        "measure_name": f"'{frame.MEASURE_NAME}'",
        "time": "a date like 2023-02-27 16:00:00.000000",
        "arrival_time": "a date like 2023-02-27 16:00:00.000000",
    }.get(name, "a number")
    return f"{value[:40]!r} is not {wanted}" if value else f"is empty, not {wanted}"
