"""Which values of a file are valid, but implausible."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from readings.ingest.row_validation import ROW
from readings.ingest.source_file import SourceFile

MAX_REPORTED_WARNINGS = 20
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


@dataclass
class ImplausibleValues:
    """The number of implausible values, and the first ones as (row, text)."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, readings: pl.DataFrame) -> None:
        """Add the implausible values of a batch, which has the column :data:`ROW`."""
        for name, (condition, reason) in _IMPLAUSIBLE.items():
            found = readings.filter(condition).select(ROW, name)
            self.count += len(found)
            room = MAX_REPORTED_WARNINGS - len(self.first)
            self.first += [
                (row, f"{name} {value} {reason}") for row, value in found.head(room).iter_rows()
            ]

    def describe(self, source: SourceFile) -> list[str]:
        """Return a sentence for each of the first values, with its line, and the number of the others."""
        if not self.first:
            return []
        places = source.places({row for row, _ in self.first})
        lines = [f"{places[row]}: {text}" for row, text in sorted(self.first)]
        if self.count > len(lines):
            lines.append(f"and {self.count - len(lines):,} more implausible values")
        return lines
