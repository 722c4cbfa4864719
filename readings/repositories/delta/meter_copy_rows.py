"""The readings of a day ordered by meter, for its meter copy.

A day may have a hundred million readings. So it is read several times, each time the readings of some meters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl

from readings.repositories.delta.data_files import DataFiles, collect, collect_all, scan_file
from readings.repositories.delta.day_summaries import summarise_days
from readings.repositories.delta.file_counts import FileCounts
from readings.repositories.delta.folder import Folder
from readings.repositories.delta.meter_copies import COPIED_COLUMNS
from readings.repositories.delta.version_finder import VersionFinder
from readings.repositories.delta.versions import OtherVersions, replace_versions
from readings.window import Window, window_of_day

_READINGS_PER_PART = 300_000
"""Limits the memory for writing a copy to about 170 MB."""
_BY_METER = ["device_id", "time"]
_VALUES = tuple(name for name in COPIED_COLUMNS if name not in _BY_METER)


def readings_by_meter(files: DataFiles, counts: FileCounts, day: date) -> Iterator[pl.DataFrame]:
    """Yield the valid readings of a day, sorted by meter and time, in frames of about 300,000 readings.

    They have the columns of ``COPIED_COLUMNS``. A meter is in one frame only.
    """
    folder = files.folder
    summary = collect(summarise_days(folder, {day: files.by_day[day]}, counts))
    device_ids = summary["device_ids"][0].sort()
    meters_per_part = math.ceil(len(device_ids) * _READINGS_PER_PART / summary["readings"][0])
    window = window_of_day(day)
    rows = VersionFinder(files, counts).valid_in_files(window)
    described = _minutes_of_the_same_meters(counts, files, day)
    for first in range(0, len(device_ids), meters_per_part):
        meters = device_ids.slice(first, meters_per_part)
        if described is not None:
            readings = _read_by_row_number(folder, described, first, meters)
        else:
            main = rows.main.scan(folder, COPIED_COLUMNS).filter(_has_one_of(meters))
            readings = collect(main).sort(_BY_METER)
        yield _corrected(folder, readings, rows.others, window, meters)


def _minutes_of_the_same_meters(
    counts: FileCounts, files: DataFiles, day: date
) -> pl.DataFrame | None:
    """Return the statistics of the day's minutes, ascending. None if a minute has other meters or several files."""
    minutes = counts.index(day, files.by_day[day]).main.statistics
    if (
        minutes["meters"].has_nulls()
        or minutes["meters"].n_unique() != 1
        or minutes["times"].ne(1).any()
        or not minutes["minute"].is_unique().all()
    ):
        return None
    return minutes


def _read_by_row_number(
    folder: Folder, minutes: pl.DataFrame, first: int, meters: pl.Series
) -> pl.DataFrame:
    """Return the readings of some meters from main files, sorted by meter and time.

    ``first`` is the place of the first meter in each of the minutes. The rows are read by their numbers, without device
    ids: this takes a third of the time of a search.
    """
    queries = [
        scan_file(folder, file, _VALUES).slice(row + first, len(meters))
        for file, row in minutes.select("file", "row").iter_rows()
    ]
    values = pl.concat(collect_all(queries))
    # The values are a matrix with a row for each minute. It is transposed, so that it has a row for each meter.
    place = np.arange(len(values), dtype=np.uint32).reshape(len(minutes), len(meters)).T.ravel()
    columns = {name: values[name].rechunk().gather(place) for name in _VALUES}
    meter = np.repeat(np.arange(len(meters), dtype=np.uint32), len(minutes))
    columns["device_id"] = meters.gather(meter)
    columns["time"] = pl.concat([minutes["first"]] * len(meters))
    return pl.DataFrame(columns).select(COPIED_COLUMNS)


def _corrected(
    folder: Folder,
    readings: pl.DataFrame,
    others: OtherVersions | None,
    window: Window,
    meters: pl.Series,
) -> pl.DataFrame:
    """Return the valid versions of these readings, in the same order."""
    if others is None:
        return readings
    corrections = others.scan(folder, window, COPIED_COLUMNS).filter(_has_one_of(meters))
    return replace_versions(readings, collect(corrections), None)


def _has_one_of(meters: pl.Series) -> pl.Expr:
    """Return a filter for these meters, which are all meters of the day between the first and the last of them."""
    return pl.col("device_id").is_between(pl.lit(meters[0]), pl.lit(meters[-1]))
