"""Parse the rows of a file into readings. Bad rows are reported with row, column and reason."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import polars as pl

from readings import frame
from readings.device_ids import RULE, parse_device_id
from readings.ingest.local_time import SECOND_ARRIVAL, SECOND_TIME, is_skipped, to_utc
from readings.ingest.value_parsing import (
    NUMBER_TYPES,
    OFFSET,
    parse_device_ids,
    parse_instant,
    parse_instants,
    parse_measure_names,
    parse_numbers,
    parse_or_none,
    parse_qualities,
)

ROW = "row"
"""The column with the number of a reading's row in its file. The first row after the header is 1."""
IS_UNAMBIGUOUS = "is_unambiguous"
"""The column that tells whether the time of a reading can be only one instant.

It has a UTC offset, or it is a local time that is not in an hour that clocks repeat.
"""
MAX_REPORTED_ROWS = 20
"""How many rows of one kind a message or a summary names."""
_DECIMALS = 3
_MAY_BE_EMPTY = {*NUMBER_TYPES, "quality"}
_NO_MEASURE = "every measure is empty, which is allowed only in a row with the quality missing"


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
    """The first :data:`MAX_REPORTED_ROWS` bad rows of a file, and the number of all its bad rows.

    ``zone`` is the time zone of its times, if they are local. ``quality_column`` is its name for the column
    ``quality``.
    """

    zone: str | None = None
    quality_column: str = "quality"
    first: list[BadRow] = field(default_factory=list)
    count: int = 0

    def append(self, row: BadRow) -> None:
        """Count a bad row. Store it only if fewer than :data:`MAX_REPORTED_ROWS` are stored."""
        self.count += 1
        if len(self.first) < MAX_REPORTED_ROWS:
            self.first.append(row)

    def add_invalid_rows(self, rows: pl.DataFrame, readings: pl.DataFrame) -> None:
        """Add the rows of a batch in which :func:`parse_rows` found an invalid value, or no measure.

        ``rows`` is what :func:`parse_rows` was given, ``readings`` is what it returned.
        """
        flags = pl.DataFrame(_invalid_values(rows, readings) + _without_measure(readings))
        if flags.is_empty():
            return
        bad = flags.select(pl.any_horizontal(pl.all())).to_series()
        self.count += int(bad.sum())
        room = MAX_REPORTED_ROWS - len(self.first)
        texts = rows.filter(bad).head(room).select(ROW, pl.exclude(ROW).cast(pl.String))
        of_rows = flags.filter(bad).head(room).iter_rows(named=True)
        for values, is_wrong in zip(texts.iter_rows(named=True), of_rows, strict=True):
            wrong = {name: text for name, text in values.items() if is_wrong.get(name)}
            self.first.append(BadRow(values[ROW], self._reason(wrong)))

    def _reason(self, wrong: Mapping[str, str | None]) -> str:
        """Return why a row is bad. ``wrong`` maps the names of its invalid columns to their texts."""
        reasons = (
            f"{name} {_describe_skipped(name, value, self.zone) or _describe_invalid(name, value)}"
            for name, value in wrong.items()
        )
        reason = "; ".join(reasons) or _NO_MEASURE
        if "quality" in wrong:
            return f"{reason} (to leave the column out, pass --ignore {self.quality_column!r})"
        return reason


@dataclass(frozen=True)
class ParsedRows:
    """The readings of some rows, with :data:`ROW` and :data:`IS_UNAMBIGUOUS`, and how many values were rounded."""

    readings: pl.DataFrame
    rounded: int


def empty_missing(
    rows: pl.DataFrame, missing: Collection[float], *, decimal_comma: bool
) -> pl.DataFrame:
    """Return the rows with null in place of the numbers that stand for no value."""
    if not missing:
        return rows
    texts = pl.col(_numbers_of(rows)).cast(pl.String)
    numbers = _with_decimal_point(texts, decimal_comma=decimal_comma).str.strip_chars()
    is_missing = numbers.cast(pl.Float64, strict=False).is_in(list(missing)).fill_null(value=False)
    return rows.with_columns(pl.when(~is_missing).then(texts))


def _with_decimal_point(texts: pl.Expr, *, decimal_comma: bool) -> pl.Expr:
    return texts.str.replace(",", ".", literal=True) if decimal_comma else texts


def parse_rows(
    rows: pl.DataFrame, *, decimal_comma: bool = False, zone: str | None = None
) -> ParsedRows:
    """Return one reading for each of ``rows``.

    ``rows`` has the column :data:`ROW`. Its other columns are text, or numbers that Polars has parsed. ``time`` and
    ``arrival_time`` may also be datetimes, which are in UTC if they have no time zone. With ``zone``, the times are
    local times of this zone, and the columns of :func:`to_utc` are added. An invalid or empty value becomes null. A
    missing ``arrival_time`` column is filled with ``time`` for now, a missing ``measure_name`` column with the
    contract's constant. Other missing columns of the contract are null. Measures have three decimals; more are rounded.
    """
    if decimal_comma:
        texts = pl.col(_numbers_of(rows)).cast(pl.String)
        rows = rows.with_columns(_with_decimal_point(texts, decimal_comma=True))
    readings = _parse_columns(rows, zone)
    if "arrival_time" not in rows.columns:
        readings = readings.with_columns(pl.col("time").alias("arrival_time"))
    if "measure_name" not in rows.columns:
        readings = readings.with_columns(pl.lit(frame.MEASURE_NAME).alias("measure_name"))
    seconds = [] if zone is None else [SECOND_TIME, SECOND_ARRIVAL]
    further = [name for name in frame.FURTHER_SCHEMA if name in rows.columns]
    missing = (
        pl.lit(None, kind).alias(name)
        for name, kind in frame.SCHEMA.items()
        if name not in readings.columns
    )
    exact = readings.with_columns(missing).select(
        ROW, IS_UNAMBIGUOUS, *frame.COLUMNS, *further, *seconds
    )
    decimal = [name for name in _numbers_of(rows) if NUMBER_TYPES[name] == pl.Float64()]
    # Zero is stored without its sign: -0.0004 is rounded to -0.0, and texts would show "-0".
    numbers = pl.col(decimal).round(_DECIMALS).replace(0.0, 0.0)
    stored = exact.with_columns(numbers, _arrival_after_time())
    rounded = sum(int((exact[name] != stored[name]).sum()) for name in decimal)
    return ParsedRows(stored, rounded)


def _parse_columns(rows: pl.DataFrame, zone: str | None) -> pl.DataFrame:
    """Return the values of the columns of ``rows``, and :data:`IS_UNAMBIGUOUS`. See :func:`parse_rows`."""
    times = {
        name: parse_instants(rows[name])
        for name in ("time", "arrival_time")
        if name in rows.columns
    }
    columns = [parse(rows[name]) for name, parse in _PARSERS.items() if name in rows.columns]
    readings = pl.DataFrame(
        [
            rows[ROW],
            times["time"].have_offset.alias(IS_UNAMBIGUOUS),
            *(instants.values for instants in times.values()),
            *columns,
        ]
    )
    if zone is not None:
        readings = to_utc(readings, {name: each.have_offset for name, each in times.items()}, zone)
        is_exact = pl.col("time") == pl.col(SECOND_TIME)
        readings = readings.with_columns(is_exact.alias(IS_UNAMBIGUOUS))
    return readings


def _numbers_of(rows: pl.DataFrame) -> list[str]:
    return [name for name in rows.columns if name in NUMBER_TYPES]


def _arrival_after_time() -> pl.Expr:
    """Return the arrival time, or null if it is before the time."""
    arrived = ~(pl.col("arrival_time") < pl.col("time")).fill_null(value=False)
    return pl.when(arrived).then("arrival_time").alias("arrival_time")


_PARSERS = {
    "device_id": parse_device_ids,
    "measure_name": parse_measure_names,
    **dict.fromkeys(NUMBER_TYPES, parse_numbers),
    "quality": parse_qualities,
}


def _invalid_values(rows: pl.DataFrame, readings: pl.DataFrame) -> list[pl.Series]:
    """Return a column of booleans for each column with invalid values: which of its values are invalid."""
    invalid = []
    for name in rows.columns:
        may_be_empty = name in _MAY_BE_EMPTY
        if readings[name].null_count() == (rows[name].null_count() if may_be_empty else 0):
            continue
        is_null = readings[name].is_null()
        if may_be_empty:
            has_text = rows[name].cast(pl.String).str.strip_chars() != ""
            is_null &= has_text.fill_null(value=False)
        if is_null.any():
            invalid.append(is_null)
    return invalid


def _without_measure(readings: pl.DataFrame) -> list[pl.Series]:
    """Return a column of booleans if rows have no measure, although their quality is not ``missing``: which rows."""
    measures = _numbers_of(readings)
    if any(not readings[name].null_count() for name in measures):
        return []
    none = pl.all_horizontal(pl.col(measures).is_null())
    if "quality" in readings.columns:
        none &= pl.col("quality").ne_missing("missing")
    without = readings.select(none.alias("without_measure")).to_series()
    return [without] if without.any() else []


def _describe_skipped(name: str, value: str | None, zone: str | None) -> str | None:
    """Return the reason why a local time does not exist, or None if that is not what is wrong."""
    if zone is None or value is None or "time" not in name or re.search(OFFSET, value):
        return None
    local = parse_or_none(parse_instant, value)
    if local is None or not is_skipped(local, zone):
        return None
    return f"{value[:40]!r} does not exist in {zone}: its clocks skip this hour"


_EXAMPLE = "2023-02-27 16:00:00.000000"


def _describe_invalid(name: str, value: str | None) -> str:
    if name == "device_id" and value:
        try:
            parse_device_id(value)
        except ValueError as error:
            return str(error).removesuffix(".")
    expected = {
        "load": "a whole number",
        "pf": "a number from -1 to 1",
        "device_id": f"a meter id of {RULE}",
        "quality": ", ".join(frame.QUALITIES[:-1]) + f" or {frame.QUALITIES[-1]}",
        "measure_name": f"'{frame.MEASURE_NAME}'",
        "time": f"a date like {_EXAMPLE}, from 1970 to ten years ahead",
        "arrival_time": f"a date like {_EXAMPLE}, from time to ten years ahead",
    }.get(name, "a number")
    return f"{value[:40]!r} is not {expected}" if value else f"is empty, it must be {expected}"
