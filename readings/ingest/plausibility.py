"""Which values of a file are valid, but implausible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from readings.ingest.row_report import RowReport
from readings.ingest.row_validation import MAX_REPORTED_ROWS, ROW
from readings.ingest.source_file import SourceFile

_HIGHEST_KV = 66
_HIGHEST_REGISTER = 999_999.999
_HIGHEST_ENERGY_OF_INTERVAL = 1_000_000
_EXPORTS = (pl.col("kw") < 0).fill_null(value=False)
_IMPLAUSIBLE = {
    "load": (pl.col("load") < 0, "is negative"),
    "crrnt": ((pl.col("crrnt") < 0) & ~_EXPORTS, "is negative, but kw is not"),
    "kva": ((pl.col("kva") < 0) & ~_EXPORTS, "is negative, but kw is not"),
    "kw": (pl.col("kw") < -pl.col("load"), "is below minus the contracted load"),
    "vltg": (
        (pl.col("vltg") < 0) | (pl.col("vltg") > _HIGHEST_KV),
        f"is not a voltage from 0 to {_HIGHEST_KV} kV; it may be in V",
    ),
    "kwh": (
        pl.col("kwh").abs() > _HIGHEST_ENERGY_OF_INTERVAL,
        f"is too much for one interval: more than {_HIGHEST_ENERGY_OF_INTERVAL:,} kWh",
    ),
    **{
        name: (
            (pl.col(name) < 0) | (pl.col(name) > _HIGHEST_REGISTER),
            f"is not a register from 0 to {_HIGHEST_REGISTER:,} kWh",
        )
        for name in ("import_kwh", "export_kwh")
    },
}
_MAX_LENGTH_OF_NUMBER = 30
_CHANGED_NUMBER = r"(?i)^[0-9](\.[0-9]+)?e\+?[0-9]+$|^[0-9]+\.0+$"
"""Spreadsheets and data frames write ids of many digits in these forms, because they read them as numbers."""


@dataclass
class ImplausibleRows:
    """The implausible values of a file, and its device ids that look like numbers which a program has changed."""

    values: RowReport = field(default_factory=RowReport)
    device_ids: RowReport = field(default_factory=RowReport)
    _named: set[str] = field(default_factory=set)

    def add(self, readings: pl.DataFrame) -> None:
        """Add the implausible values and device ids of a batch, which has the column :data:`ROW`."""
        conditions = {name: each for name, each in _IMPLAUSIBLE.items() if name in readings.columns}
        implausible = readings.filter(pl.any_horizontal(each for each, _ in conditions.values()))
        for name, (condition, reason) in conditions.items():
            found = implausible.filter(condition).select(ROW, name)
            self.values.add(
                len(found), ((row, f"{name} {value} {reason}") for row, value in found.iter_rows())
            )
        # Nearly all files have longer ids in every row. Their lengths are compared faster than their texts.
        short = readings.filter(pl.col("device_id").str.len_bytes() <= _MAX_LENGTH_OF_NUMBER)
        changed = short.filter(pl.col("device_id").str.contains(_CHANGED_NUMBER))
        self.device_ids.add(len(changed), self._name_each_once(changed))

    def describe(self, source: SourceFile) -> list[str]:
        """Return a sentence for each of the first implausible values and device ids, with its line."""
        return [
            *self.values.describe(source, "implausible values"),
            *self.device_ids.describe(source, "rows with such a device_id"),
        ]

    def _name_each_once(self, readings: pl.DataFrame) -> Iterator[tuple[int, str]]:
        for row, device_id in readings.select(ROW, "device_id").iter_rows():
            if device_id not in self._named and len(self._named) < MAX_REPORTED_ROWS:
                self._named.add(device_id)
                yield (
                    row,
                    f"device_id {device_id} looks like a number that a spreadsheet has changed; "
                    "several meters may have this id",
                )
