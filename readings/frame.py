"""The readings frame: the form in which readings travel through the code.

A readings frame is a Polars data frame, sorted by :data:`ORDER`. Its columns are those of :data:`SCHEMA`, in that
order, if the caller does not choose others of :data:`FULL_SCHEMA`. Units: ``load`` and ``kw`` in kW, ``crrnt`` in A,
``kva`` in kVA, ``vltg`` in kV, energy in kWh; ``pf`` (power factor) has no unit. A measure may be null: many meters
send energy only.

(``device_id``, ``time``) identifies a reading. A reading may have several versions, with different arrival times. The
valid version is the one that arrived last. A *correction* is a version that arrives after the first one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from readings.instants import format_instant, from_micros, to_micros

INSTANT = pl.Datetime("us", "UTC")
SCHEMA: dict[str, pl.DataType] = {
    "time": INSTANT,
    "arrival_time": INSTANT,
    "device_id": pl.String(),
    "measure_name": pl.String(),
    "load": pl.Int64(),
    "crrnt": pl.Float64(),
    "pf": pl.Float64(),
    "kva": pl.Float64(),
    "kw": pl.Float64(),
    "vltg": pl.Float64(),
}
"""The columns of the contract. Pages and files have these if the caller does not choose others."""
FURTHER_SCHEMA: dict[str, pl.DataType] = {
    "kwh": pl.Float64(),
    "import_kwh": pl.Float64(),
    "export_kwh": pl.Float64(),
    "quality": pl.String(),
}
"""The columns that a caller gets on request only."""
FULL_SCHEMA = SCHEMA | FURTHER_SCHEMA
MEANINGS = {
    "time": "The interval that the reading is for.",
    "arrival_time": "When the headend received the reading; later than time for a late reading.",
    "device_id": "The meter.",
    "measure_name": "Always readings.",
    "load": "Contracted load, kW.",
    "crrnt": "Current, A.",
    "pf": "Power factor, without a unit.",
    "kva": "Apparent power, kVA.",
    "kw": "Active power, kW.",
    "vltg": "Voltage, kV.",
    "kwh": "Energy of the interval, kWh.",
    "import_kwh": "Register of the energy taken from the grid, kWh.",
    "export_kwh": "Register of the energy fed into the grid, kWh.",
    "quality": "How the value was obtained: measured, estimated, substituted or missing.",
}
"""What each column means, for the OpenAPI schema."""
COLUMNS = list(SCHEMA)
FULL_COLUMNS = list(FULL_SCHEMA)
MEASURES = [name for name, kind in FULL_SCHEMA.items() if kind.is_numeric()]
QUALITIES = ("measured", "estimated", "substituted", "missing")
"""The values of ``quality``."""
ORDER = ["time", "device_id"]
"""These columns identify a reading, and readings are sorted by them."""
VERSION = [*ORDER, "arrival_time"]
"""These columns identify a version of a reading."""
MEASURE_NAME = "readings"
"""The value of ``measure_name`` in every reading. The contract demands it."""

_INSTANT_COLUMNS = {name for name, kind in FULL_SCHEMA.items() if kind == INSTANT}
_CANONICAL_FORMAT = "%Y-%m-%d %H:%M:%S%.6f"
_MIN_READINGS_TO_SEARCH_DISTINCT = 2_000
"""In a smaller frame, Python formats the distinct instants faster than Polars finds them."""


def empty(columns: Sequence[str] = COLUMNS) -> pl.DataFrame:
    """Return a readings frame without rows."""
    return pl.DataFrame(schema={name: FULL_SCHEMA[name] for name in columns})


def with_full_columns(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with the columns of :data:`FULL_SCHEMA`. Columns that it does not have are null."""
    missing = (
        pl.lit(None, kind).alias(name)
        for name, kind in FULL_SCHEMA.items()
        if name not in readings.columns
    )
    return readings.with_columns(missing).select(FULL_COLUMNS)


def valid_versions(versions: pl.DataFrame) -> pl.DataFrame:
    """Return the version of each reading that arrived last, in order. ``versions`` may be in any order."""
    if is_in_strict_order(versions):
        return versions
    return versions.sort(VERSION).unique(ORDER, keep="last", maintain_order=True)


def literal(instant: datetime) -> pl.Expr:
    """Return an instant as a Polars expression. ``pl.lit`` takes 30 times as long."""
    return pl.lit(to_micros(instant), pl.Int64).cast(INSTANT)


def instants(micros: npt.NDArray[np.int64]) -> pl.Series:
    """Return instants, in microseconds since 1970, as a column."""
    return pl.Series(micros).cast(INSTANT)


def is_late() -> pl.Expr:
    """Return an expression of a readings frame: whether a reading is late."""
    return pl.col("arrival_time") > pl.col("time")


def is_in_strict_order(readings: pl.DataFrame) -> bool:
    """Return whether the readings are sorted by :data:`ORDER`, and no two have the same ``device_id`` and ``time``.

    Comparing adjacent rows takes a twentieth of the time of a search for duplicates.
    """
    step = readings["time"].to_physical().diff()
    device_id = readings["device_id"]
    ascends = (step > 0) | ((step == 0) & (device_id > device_id.shift()))
    return bool(ascends.all())


def in_order(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the frame sorted by :data:`ORDER`.

    This is faster than Polars' sort if a frame has few intervals and each is already sorted by device id.
    """
    earliest, latest = readings["time"].min(), readings["time"].max()
    if earliest == latest:
        return _sort_by_device_id(readings)
    times = readings["time"].unique()
    if len(times) * 100 > len(readings):
        return readings.sort(ORDER)
    intervals = readings.partition_by("time", maintain_order=True)
    intervals.sort(key=lambda interval: interval["time"][0])
    return pl.concat([_sort_by_device_id(interval) for interval in intervals])


def in_order_without_duplicates(
    readings: pl.DataFrame, *, corrections: bool = False
) -> pl.DataFrame:
    """Return a readings frame in order that holds each (``device_id``, ``time``) once: the first of them.

    With ``corrections``, it holds each version once, sorted by :data:`VERSION`. It keeps the columns of
    :data:`FULL_SCHEMA`.
    """
    columns = [name for name in FULL_COLUMNS if name in SCHEMA or name in readings.columns]
    if columns != readings.columns:
        # `select` runs a query even if it changes nothing.
        readings = readings.select(columns)
    if is_in_strict_order(readings):
        return readings
    if corrections:
        distinct = readings.unique(VERSION, keep="first", maintain_order=True)
        return distinct.sort(VERSION)
    distinct = readings.unique(ORDER, keep="first", maintain_order=True)
    return in_order(distinct)


def parts_of_versions(versions: pl.DataFrame, size: int) -> Iterator[pl.DataFrame]:
    """Yield the rows (sorted by :data:`VERSION`) in parts of about ``size`` rows.

    All versions of a reading are in one part.
    """
    identities = versions.select(ORDER)
    start = 0
    while start < len(versions):
        end = start + size
        while end < len(versions) and identities.row(end) == identities.row(end - 1):
            end += 1
        yield versions[start:end]
        start = end


def _sort_by_device_id(interval: pl.DataFrame) -> pl.DataFrame:
    return interval if interval["device_id"].is_sorted() else interval.sort("device_id")


def with_instants_as_text(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with ``time`` and ``arrival_time`` as canonical text."""
    # For few readings, a query such as `with_columns` takes longer than the formatting.
    written = readings.clone()
    for position, name in enumerate(readings.columns):
        if name in _INSTANT_COLUMNS:
            written.replace_column(position, _as_text(readings[name]))
    return written


def common_text(instants: pl.Series) -> str | None:
    """Return the canonical text of instants that are all the same; None if they differ, or if there are none.

    None of them may be null.
    """
    # Directly after a query of DuckDB, this takes half of the time of a comparison in NumPy.
    earliest, latest = instants.min(), instants.max()
    if isinstance(earliest, datetime) and earliest == latest:
        return format_instant(earliest)
    return None


def _as_text(instants: pl.Series) -> pl.Series:
    if len(instants) < _MIN_READINGS_TO_SEARCH_DISTINCT:
        return _format_few_instants(instants)
    return _format_distinct_instants(instants)


def _format_few_instants(instants: pl.Series) -> pl.Series:
    text = common_text(instants)
    if text is not None:
        return pl.Series(instants.name, [text]).new_from_index(0, len(instants))
    micros = instants.to_numpy().view(np.int64).tolist()
    texts = {each: format_instant(from_micros(each)) for each in set(micros)}
    return pl.Series(instants.name, [texts[each] for each in micros], pl.String)


def _format_distinct_instants(instants: pl.Series) -> pl.Series:
    # All readings of an interval have the same time, and nearly all the same arrival time. Formatting
    # each distinct instant once halves the time that a CSV file takes.
    if instants.min() == instants.max():
        return instants.head(1).dt.strftime(_CANONICAL_FORMAT).new_from_index(0, len(instants))
    distinct = instants.unique()
    if len(distinct) * 4 > len(instants):
        return instants.dt.strftime(_CANONICAL_FORMAT)
    return instants.replace_strict(
        distinct, distinct.dt.strftime(_CANONICAL_FORMAT), return_dtype=pl.String
    )
