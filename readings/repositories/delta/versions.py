"""Find the valid version of each reading among main files and files with other versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from readings import frame
from readings.instants import to_micros
from readings.repositories.delta.data_files import RowSelection, collect, collect_all
from readings.repositories.delta.folder import Folder
from readings.repositories.minute_index import IntArray, as_int_array
from readings.window import Window

_OTHER = ":other"
_OTHER_ARRIVAL = f"arrival_time{_OTHER}"
_SAME_IN_ALL_VERSIONS = {*frame.ORDER, "measure_name"}


@dataclass(frozen=True)
class OtherVersions:
    """The rows that hold other versions of some readings than those in main files.

    ``as_of`` is None if all versions arrived up to the instant that the caller requests.
    """

    rows: RowSelection
    as_of: datetime | None

    def scan(self, folder: Folder, window: Window, columns: Sequence[str]) -> pl.LazyFrame:
        """Return the versions of the window's readings that arrived up to ``as_of``, in any order."""
        versions = self.rows.scan(folder, columns)
        return versions.filter(replace(window, arrived_after=None, as_of=self.as_of).predicate())


@dataclass(frozen=True)
class VersionRows:
    """The rows that hold the versions of some readings. ``others`` is None if only main files hold valid versions."""

    main: RowSelection
    others: OtherVersions | None

    def scan(self, folder: Folder, window: Window, columns: Sequence[str]) -> pl.LazyFrame:
        """Return the readings whose valid version is in the window, in any order.

        ``columns`` must include those of ``frame.VERSION``.
        """
        main = self.main.scan(folder, columns)
        if self.others is None:
            return main.filter(window.predicate())
        # The arrival times are compared first: the valid version may be in the window and another one not.
        main = main.filter(window.without_arrival_bounds().predicate())
        others = self.others.scan(folder, window, columns)
        return _join(main, others, self.others.as_of).filter(window.predicate())

    def read(self, folder: Folder, window: Window, columns: Sequence[str]) -> pl.DataFrame:
        """Return what :meth:`scan` returns, in order. It takes half as long, but needs more memory."""
        if self.others is None:
            return frame.in_order(collect(self.scan(folder, window, columns)))
        of_readings = window.without_arrival_bounds().predicate()
        main, others = collect_all(
            [
                self.main.scan(folder, columns).filter(of_readings),
                self.others.scan(folder, window, columns),
            ]
        )
        valid = replace_versions(frame.in_order(main), others, self.others.as_of)
        return valid.filter(window.predicate()) if window.bounds_arrival_time else valid


def replace_versions(
    readings: pl.DataFrame, others: pl.DataFrame, as_of: datetime | None
) -> pl.DataFrame:
    """Return the valid version of each of the readings, which are in order.

    ``others`` are other versions of these readings, in any order, none of which arrived after ``as_of``. A reading of
    which no version arrived up to ``as_of`` stays as it is.
    """
    row = _rows_at_one_time(readings, others)
    if row is None:
        others = frame.valid_versions(others)
        row = _rows(readings, others)
    arrival = as_int_array(readings["arrival_time"])[row]
    is_replaced = as_int_array(others["arrival_time"]) > arrival
    if as_of is not None:
        is_replaced |= arrival > to_micros(as_of)
    if not is_replaced.any():
        return readings
    row, others = row[is_replaced], others.filter(pl.Series(is_replaced))
    # All versions of a reading are equal in the other columns, and text takes longer to copy than numbers.
    return pl.DataFrame(
        column
        if column.name in _SAME_IN_ALL_VERSIONS
        else column.rechunk().scatter(row, others[column.name])
        for column in readings
    )


def _rows(readings: pl.DataFrame, others: pl.DataFrame) -> IntArray:
    """Return the row in ``readings`` of each reading of ``others``."""
    numbered = readings.select(frame.ORDER).with_row_index("row")
    identities = others.select(frame.ORDER)
    found = identities.join(numbered, on=frame.ORDER, how="left", maintain_order="left")
    return as_int_array(found["row"])


def _rows_at_one_time(readings: pl.DataFrame, others: pl.DataFrame) -> IntArray | None:
    """Return what :func:`_rows` returns, or None if there are several times or several versions of a reading.

    This is several times as fast as a join.
    """
    times = {*_bounds(readings["time"]), *_bounds(others["time"])}
    device_ids = others["device_id"]
    if len(times) > 1 or device_ids.n_unique() < len(device_ids):
        return None
    # In one chunk, ids are found in a third of the time.
    rows = readings["device_id"].rechunk().search_sorted(device_ids)
    return rows.to_numpy().astype(np.int64)


def _bounds(times: pl.Series) -> tuple[object, object]:
    return times.min(), times.max()


def _join(main: pl.LazyFrame, others: pl.LazyFrame, as_of: datetime | None) -> pl.LazyFrame:
    """Return what :func:`replace_versions` returns, in any order."""
    latest = others.sort(frame.VERSION).unique(frame.ORDER, keep="last", maintain_order=True)
    joined = main.join(latest, on=frame.ORDER, how="left", suffix=_OTHER)
    return joined.select(
        name
        if name in frame.ORDER
        else pl.when(_is_replaced(as_of)).then(f"{name}{_OTHER}").otherwise(name).alias(name)
        for name in main.collect_schema().names()
    )


def _is_replaced(as_of: datetime | None) -> pl.Expr:
    """Return an expression: whether the other version is valid, if there is one."""
    arrival, other_arrival = pl.col("arrival_time"), pl.col(_OTHER_ARRIVAL)
    if as_of is None:
        return other_arrival > arrival
    return (other_arrival > arrival) | (
        (arrival > frame.literal(as_of)) & other_arrival.is_not_null()
    )
