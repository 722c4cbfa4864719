"""Statistics of each minute of a data file, stored next to the table when the file is written.

With them, another process finds a page and describes the table without reading the data file. A file without them,
such as one of an earlier release, is counted by reading it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import PurePath

import numpy as np
import numpy.typing as npt
import polars as pl

from readings import frame
from readings.repositories.delta.day_cache import DELETE_AFTER_SECONDS
from readings.repositories.delta.failures import FAILURES
from readings.repositories.delta.folder import Folder
from readings.repositories.minute_index import MINUTE_INDEX_SCHEMA, as_int_array

MINUTE_STATISTICS_SCHEMA = {
    **MINUTE_INDEX_SCHEMA,
    "row": pl.Int64(),
    "span": pl.Int64(),
    "times": pl.Int64(),
    "late": pl.Int64(),
    "kw": pl.Float64(),
    "import_kwh": pl.Float64(),
    "export_kwh": pl.Float64(),
    "meters": pl.UInt64(),
}
"""One row per minute of a file.

``row`` is the first row of the minute in the file. ``span`` is the number of rows from the first to the last reading
of the minute; if it equals ``readings``, no other readings are between them.

The other columns are null if the file was counted by reading it. Otherwise its readings are in order. ``times`` is the
number of distinct times, ``late`` that of late readings. ``kw``, ``import_kwh`` and ``export_kwh`` are the sums of
``INTERVAL_TOTALS_SCHEMA``. ``meters`` is a hash of the minute's device ids: minutes with equal hashes have the same
meters.
"""
FILE_STATISTICS_SCHEMA = {"file": pl.String(), **MINUTE_STATISTICS_SCHEMA}
"""One row per file and minute. ``file`` is the full path."""
_FOLDER = "_statistics"
"""Delta ignores names that begin with an underscore."""
_PREFIX, _SUFFIX = "part-", ".json"
MICROS_PER_MINUTE = 60_000_000


def minute_statistics(readings: pl.DataFrame) -> pl.DataFrame:
    """Return :data:`MINUTE_STATISTICS_SCHEMA` of a readings frame that becomes a data file. It is not empty."""
    # Arrays, because a query on a data frame takes several times as long, for each write.
    time, arrival = as_int_array(readings["time"]), as_int_array(readings["arrival_time"])
    new_time = np.concatenate([[True], time[1:] != time[:-1]])
    instants = np.flatnonzero(new_time)
    minutes = time[instants] // MICROS_PER_MINUTE
    rows = instants[np.concatenate([[True], minutes[1:] != minutes[:-1]])]
    count = np.diff(rows, append=len(time))
    meters = readings["device_id"].hash().to_numpy()
    imported, exported = _energy_sums(readings, rows)
    return pl.DataFrame(
        {
            "minute": time[rows] // MICROS_PER_MINUTE * MICROS_PER_MINUTE,
            "readings": count,
            "first": time[rows],
            "last": time[rows + count - 1],
            "first_arrival": np.minimum.reduceat(arrival, rows),
            "last_arrival": np.maximum.reduceat(arrival, rows),
            "row": rows,
            "span": count,
            "times": np.add.reduceat(new_time, rows, dtype=np.int64),
            "late": np.add.reduceat(arrival > time, rows, dtype=np.int64),
            "kw": np.add.reduceat(_without_nulls(readings, "kw"), rows),
            "import_kwh": imported,
            "export_kwh": exported,
            "meters": np.add.reduceat(meters, rows),
        }
    ).cast(pl.Schema(MINUTE_STATISTICS_SCHEMA))


def _energy_sums(
    readings: pl.DataFrame, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the imported and the exported energy of each minute, kWh. ``rows`` are the first rows of the minutes."""
    if "kwh" not in readings.columns:
        zeros = np.zeros(len(rows))
        return zeros, zeros
    kwh = _without_nulls(readings, "kwh")
    return np.add.reduceat(kwh.clip(min=0), rows), np.add.reduceat(-kwh.clip(max=0), rows)


def _without_nulls(readings: pl.DataFrame, name: str) -> npt.NDArray[np.float64]:
    if name not in readings.columns:
        return np.zeros(len(readings))
    values = readings[name]
    # `fill_null` runs a query even if nothing is null.
    return (values.fill_null(0.0) if values.null_count() else values).to_numpy()


def store_statistics(folder: Folder, data_file: str, readings: pl.DataFrame) -> None:
    """Store the statistics of a new data file, whose rows are ``readings``, in order. The file appears atomically."""
    columns = minute_statistics(readings).with_columns(pl.col(frame.INSTANT).to_physical())
    folder.put(_file(data_file), json.dumps(columns.to_dict(as_series=False)).encode())


def read_statistics(folder: Folder, data_files: Sequence[str]) -> pl.DataFrame:
    """Return the stored statistics of those data files that have some: the column ``file``, and those of the schema.

    If a disk or a bucket cannot be read, the result is empty.
    """
    rows: dict[str, list[object]] = {name: [] for name in FILE_STATISTICS_SCHEMA}
    contents: list[bytes | None] = []
    with suppress(*FAILURES):
        contents = folder.read([_file(data_file) for data_file in data_files])
    for data_file, content in zip(data_files, contents, strict=False):
        try:
            columns = json.loads(content or b"")
            # Earlier releases stored no energy.
            for name in ("import_kwh", "export_kwh"):
                columns.setdefault(name, [0.0] * len(columns["kw"]))
            stored = [columns[name] for name in MINUTE_STATISTICS_SCHEMA]
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        for values, new in zip(rows.values(), ([data_file] * len(stored[0]), *stored), strict=True):
            values.extend(new)
    return pl.DataFrame(rows, schema=FILE_STATISTICS_SCHEMA)


def delete_unused_statistics(folder: Folder, data_files: Iterable[str]) -> int:
    """Delete the statistics of all other data files, an hour after they were stored. Return how many were deleted."""
    used = {_file(data_file) for data_file in data_files}
    start = f"{_FOLDER}/{_PREFIX}"
    stored = [
        name
        for name in folder.names(_FOLDER)
        if name.startswith(start) and name.endswith(_SUFFIX) and name not in used
    ]
    return folder.remove_older(stored, time.time() - DELETE_AFTER_SECONDS)


def _file(data_file: str) -> str:
    return f"{_FOLDER}/{PurePath(data_file).stem}{_SUFFIX}"
