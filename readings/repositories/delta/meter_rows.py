"""Find the readings of a few meters by row number.

Readings of a minute are sorted by device id. So in all minutes with the same meters, a meter's reading has the same
place. The place is found once, and then one row of each minute is read. A search in every minute would decode ten
thousand device ids for each reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from readings import frame
from readings.repositories.delta.data_files import (
    Columns,
    RowRange,
    collect_all,
    scan_file,
    stored_columns,
)
from readings.repositories.delta.decoded_rows import (
    count_in_order_up_to,
    read_rows,
)
from readings.repositories.delta.folder import Folder
from readings.window import Position

MAX_METERS = 8
"""For more meters, a search of all of them is faster."""
_ORDER = tuple(frame.ORDER)
_MINUTES_PER_SEARCH = 4
"""If fewer minutes than these have the same meters, on average, a search in all of them is faster."""
_THREADS = 8
_MAX_FILES_OPENED_IN_TURN = 8
"""For so few files, threads take longer to start than they save."""
_KNOWN = ("time", "device_id", "arrival_time", "measure_name")
"""The columns that can be known without reading."""


def read_meters(
    folder: Folder, minutes: pl.DataFrame, device_ids: Iterable[str], columns: Columns
) -> pl.DataFrame | None:
    """Return the readings of some meters in some minutes, in order, or None if a search is faster.

    ``columns`` must include those of ``frame.ORDER``. ``minutes`` has the columns of ``FILE_STATISTICS_SCHEMA``,
    ascending by minute.
    """
    sets = minutes.unique("meters")
    if (
        minutes["meters"].has_nulls()
        or minutes["times"].ne(1).any()
        or len(sets) * _MINUTES_PER_SEARCH > len(minutes)
    ):
        return None
    found = [_rows_of(folder, minutes, sets, device_id) for device_id in device_ids]
    rows = pl.concat(found).with_columns(pl.lit(frame.MEASURE_NAME).alias("measure_name"))
    known = [*_KNOWN]
    if minutes["first_arrival"].ne(minutes["last_arrival"]).any():
        known.remove("arrival_time")
    stored = tuple(name for name in columns if name not in known)
    values = _read_rows(folder, rows.select("file", "row").rows(), stored)
    return (
        pl.concat([rows.select(known), values], how="horizontal")
        .select(pl.col(name).cast(frame.FULL_SCHEMA[name]) for name in columns)
        .sort(frame.ORDER)
    )


def _rows_of(
    folder: Folder, minutes: pl.DataFrame, sets: pl.DataFrame, device_id: str
) -> pl.DataFrame:
    """Return the rows of a meter: ``file``, ``row``, and what is known of them. ``sets`` has one minute of each set.

    ``arrival_time`` is that of the first reading of the minute.
    """
    places = {
        meters: _place(folder, RowRange(file, row, readings), Position(time, device_id))
        for meters, file, row, readings, time in sets.select(
            "meters", "file", "row", "readings", "first"
        ).iter_rows()
    }
    place = pl.col("meters").replace_strict(places, return_dtype=pl.Int64)
    return (
        minutes.with_columns(place.alias("place"))
        .drop_nulls("place")
        .select(
            "file",
            pl.col("row") + pl.col("place"),
            pl.col("first").alias("time"),
            pl.col("first_arrival").alias("arrival_time"),
            pl.lit(device_id).alias("device_id"),
        )
    )


def _place(folder: Folder, rows: RowRange, position: Position) -> int | None:
    """Return which of these rows, which are in order, has this time and meter, or None if none has."""
    place = count_in_order_up_to(folder, rows, position, _ORDER) - 1
    if place < 0:
        return None
    [device_id] = read_rows(folder, [rows], _ORDER, skip=place, limit=1)["device_id"]
    return place if device_id == position.device_id else None


def _read_rows(folder: Folder, rows: list[tuple[str, int]], columns: Columns) -> pl.DataFrame:
    """Return these rows, each given by its file and number, in this order. Files without the columns are not read."""
    files = _scan_files(folder, {file for file, _ in rows}, columns) if columns else {}
    found = iter(collect_all([files[file].slice(row, 1) for file, row in rows if file in files]))
    empty = frame.empty(columns)
    without_values = empty.clear(1)
    readings = (next(found) if file in files else without_values for file, _ in rows)
    return pl.concat([empty, *readings])


def _scan_files(folder: Folder, names: set[str], columns: Columns) -> dict[str, pl.LazyFrame]:
    """Return the readings of these files, without those files that have none of the columns."""

    def scan(file: str) -> pl.LazyFrame | None:
        return scan_file(folder, file, columns) if stored_columns(folder, file, columns) else None

    if len(names) <= _MAX_FILES_OPENED_IN_TURN:
        scans = [scan(file) for file in names]
    else:
        # In a bucket, each file takes a call. On a disk, two cores parse the footers.
        with ThreadPoolExecutor(_THREADS) as threads:
            scans = list(threads.map(scan, names))
    return {file: each for file, each in zip(names, scans, strict=True) if each is not None}
