"""Which values of a file are valid, but implausible."""

from __future__ import annotations

import polars as pl

from readings.ingest.row_report import RowReport
from readings.ingest.row_validation import ROW

_HIGHEST_KV = 66
_IMPLAUSIBLE = {
    "load": (pl.col("load") < 0, "is negative"),
    "crrnt": (pl.col("crrnt") < 0, "is negative"),
    "kva": (pl.col("kva") < 0, "is negative"),
    "kw": (pl.col("kw") < -pl.col("load"), "is below minus the contracted load"),
    "vltg": (
        (pl.col("vltg") < 0) | (pl.col("vltg") > _HIGHEST_KV),
        "is no voltage of a meter in kV; it may be in V",
    ),
}


def add_implausible_values(report: RowReport, readings: pl.DataFrame) -> None:
    """Add the implausible values of a batch, which has the column :data:`ROW`, to the report."""
    implausible = pl.any_horizontal(condition for condition, _ in _IMPLAUSIBLE.values())
    readings = readings.filter(implausible)
    for name, (condition, reason) in _IMPLAUSIBLE.items():
        found = readings.filter(condition).select(ROW, name)
        report.add(
            len(found), ((row, f"{name} {value} {reason}") for row, value in found.iter_rows())
        )
