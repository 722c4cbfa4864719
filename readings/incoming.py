"""Rows of a file from outside, turned into readings or named as bad: by line, column and reason."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from readings import frame

LINE = "line"
"""The column that tells where in its file a row stands."""
MAY_BE_MISSING = {"arrival_time", "measure_name"}
_NUMBERS = {"load": pl.Int64, **dict.fromkeys(("crrnt", "pf", "kva", "kw", "vltg"), pl.Float64)}


class BadFileError(Exception):
    """A file that cannot be loaded; the message says why."""


@dataclass(frozen=True, order=True)
class BadRow:
    """One value that cannot be loaded."""

    line: int
    column: str
    reason: str


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


def converted(rows: pl.DataFrame) -> tuple[pl.DataFrame, list[BadRow]]:
    """Rows of texts (instants may come as such) as readings with their :data:`LINE`, and what is bad in them.

    The readings are only good when nothing is bad.
    """
    columns = {LINE: rows[LINE]}
    bad: list[BadRow] = []
    for name in frame.COLUMNS:
        if name in rows.columns:
            columns[name], wrong = _column(rows, name)
            bad += wrong
    readings = pl.DataFrame(columns)
    if "arrival_time" not in rows.columns:
        readings = readings.with_columns(pl.col("time").alias("arrival_time"))
    if "measure_name" not in rows.columns:
        readings = readings.with_columns(pl.lit(frame.MEASURE_NAME).alias("measure_name"))
    return readings.select(LINE, *frame.COLUMNS), bad


def _column(rows: pl.DataFrame, name: str) -> tuple[pl.Series, list[BadRow]]:
    given = rows[name]
    if name in _NUMBERS:
        values = _numbers(given, name)
    elif isinstance(given.dtype, pl.Datetime):
        zoned = given if given.dtype.time_zone else given.dt.replace_time_zone("UTC")
        values = zoned.cast(frame.INSTANT)
    elif name in ("time", "arrival_time"):
        values = _by_distinct(given, _instant, frame.INSTANT)
    else:
        values = _by_distinct(given, _meter if name == "device_id" else _measure, pl.String())
    wrong = rows.select(LINE, name).filter(values.is_null())
    return values, [BadRow(line, name, _reason(name, value)) for line, value in wrong.iter_rows()]


def _numbers(given: pl.Series, name: str) -> pl.Series:
    values = given.cast(pl.String).str.strip_chars().cast(_NUMBERS[name], strict=False)
    if name == "load":
        return values
    return pl.select(pl.when(values.is_finite()).then(values.round(3)))[:, 0]


def _by_distinct(given: pl.Series, read: Callable[[str], Any], kind: pl.DataType) -> pl.Series:
    """Read each distinct text once: a file has few times and meters for its many rows."""
    texts = given.unique().drop_nulls()
    read_texts = pl.Series([_or_none(read, text) for text in texts], dtype=kind)
    return given.replace_strict(texts, read_texts, default=None, return_dtype=kind)


def _or_none(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except ValueError:
        return None


def _instant(text: str) -> Any:
    return frame.parse_instant(text.strip())


def _meter(text: str) -> str:
    return str(uuid.UUID(text.strip()))


def _measure(text: str) -> str:
    if text != frame.MEASURE_NAME:
        raise ValueError(text)
    return text


def _reason(name: str, value: object) -> str:
    wanted = {
        "load": "a whole number",
        "device_id": "a UUID",
        "measure_name": f"'{frame.MEASURE_NAME}'",
        "time": "a date like 2023-02-27 16:00:00.000000",
        "arrival_time": "a date like 2023-02-27 16:00:00.000000",
    }.get(name, "a number")
    return (
        f"is empty, not {wanted}" if value in (None, "") else f"{str(value)[:40]!r} is not {wanted}"
    )
