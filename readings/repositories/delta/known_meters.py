"""Read minutes without their device ids, if an earlier minute had the same meters.

Most minutes of a table have the same meters, and readings of a minute are sorted by device id. The ids take two fifths
of the time to read a minute, so they are read once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from readings import frame
from readings.repositories.delta.data_files import Columns, merge_row_ranges, scan_file
from readings.repositories.delta.folder import Folder
from readings.repositories.minute_index import as_int_array

_MAX_METERS = 200_000
"""How many device ids are kept: about 10 MB."""
_MAX_SETS_OF_A_READ = 8
"""If the minutes of a read have more different sets of meters than this, no device ids are kept."""
_KNOWN = ("time", "device_id", "measure_name")
"""The columns that are known without reading."""


@dataclass(frozen=True)
class KnownMinutes:
    """Minutes whose meters are known. ``query`` returns the other columns of their readings in main files."""

    query: pl.LazyFrame
    _known: dict[str, pl.Series]
    _columns: Columns

    def readings(self, values: pl.DataFrame) -> pl.DataFrame:
        """Return the readings, in order. ``values`` is the result of the query."""
        known = self._known
        return pl.DataFrame(
            [known[name].alias(name) if name in known else values[name] for name in self._columns]
        )


class KnownMeters:
    """The device ids of minutes that were read before. Several threads may use it.

    The parameter ``minutes`` has a row of ``FILE_STATISTICS_SCHEMA`` for each minute of consecutive minutes, ascending.
    """

    def __init__(self) -> None:
        self._device_ids: dict[int, pl.Series] = {}

    def find(self, folder: Folder, minutes: pl.DataFrame, columns: Columns) -> KnownMinutes | None:
        """Return the minutes, or None if their meters are not known.

        Also returns None if the rows of the minutes are not adjacent in one file. ``columns`` must include those of
        ``frame.ORDER`` and a measure.
        """
        device_ids = self._device_ids
        meters = minutes["meters"].to_list()
        if not _have_one_time_each(minutes) or not device_ids.keys() >= {*meters}:
            return None
        ranges = merge_row_ranges(minutes.select("file", "row", "readings", "span").rows())
        if ranges is None or len(ranges) != 1:
            return None
        [rows] = ranges
        stored = tuple(name for name in columns if name not in _KNOWN)
        query = scan_file(folder, rows.file, stored).slice(rows.start, rows.length)
        times = np.repeat(as_int_array(minutes["first"]), minutes["readings"].to_numpy())
        known = {
            "time": frame.instants(times),
            "device_id": pl.concat([device_ids[each] for each in meters]),
            "measure_name": pl.Series([frame.MEASURE_NAME]).new_from_index(0, rows.length),
        }
        return KnownMinutes(query, known, columns)

    def remember(self, minutes: pl.DataFrame, readings: pl.DataFrame) -> None:
        """Keep the device ids of these minutes. ``readings`` are all readings of the minutes, in order."""
        if not _have_one_time_each(minutes):
            return
        ends = minutes["readings"].cum_sum()
        sets = minutes.select("meters", "readings", end=ends).unique("meters").rows()
        if len(sets) > _MAX_SETS_OF_A_READ:
            return
        kept = self._device_ids | {
            meters: readings["device_id"].slice(end - length, length)
            for meters, length, end in sets
        }
        if sum(map(len, kept.values())) > _MAX_METERS:
            kept = {}
        self._device_ids = kept


def _have_one_time_each(minutes: pl.DataFrame) -> bool:
    """Return whether all readings of each minute have the same time.

    If so, minutes with equal hashes have the same meters in the same order.
    """
    return bool(minutes["times"].eq(1).all())
