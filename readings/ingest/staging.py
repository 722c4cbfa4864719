"""The parsed rows of a file, as Parquet files in the temporary folder of an import."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from readings import frame
from readings.ingest.corrections import FileColumns
from readings.ingest.plausibility import ImplausibleRows
from readings.ingest.row_validation import IS_UNAMBIGUOUS, ROW
from readings.ingest.scratch import scratch_errors

_ROWS_PER_GROUP = 10_000


@dataclass
class StagedRows:
    """What is known about the parsed rows of a file: their number, and its rounded and implausible values.

    ``are_local`` says that their times are those of a time zone. Then the number and the order of all rows tell the
    passes of a repeated hour apart. ``in_strict_order`` says that the rows are in the order of a readings frame, and
    that no two are the same reading.
    """

    are_local: bool
    count: int = 0
    rounded: int = 0
    columns: FileColumns = field(default_factory=lambda: FileColumns.of(()))
    implausible: ImplausibleRows = field(default_factory=ImplausibleRows)
    _ascend: bool = True
    _last: tuple[datetime, str] | None = None

    @property
    def in_strict_order(self) -> bool:
        """Whether no row is out of order or repeated."""
        return self._ascend and not self.are_local

    def write(self, readings: pl.DataFrame, file: Path) -> None:
        """Write the readings of a batch (not empty). Raises :class:`ScratchError`."""
        self.implausible.add(readings)
        keys = readings.select(frame.ORDER)
        follows = self._last is None or keys.row(0) > self._last
        self._ascend = self._ascend and follows and frame.is_in_strict_order(readings)
        self._last = keys.row(-1)
        if not self.in_strict_order:
            if not self.are_local:
                readings = _without_many_repeats(readings)
            # Later steps read all files for each few hours. So they skip most of the row groups.
            readings = readings.sort("time", maintain_order=True)
        with scratch_errors():
            # Compressing would take longer than writing and reading the larger file.
            readings.write_parquet(file, compression="uncompressed", row_group_size=_ROWS_PER_GROUP)


def _without_many_repeats(readings: pl.DataFrame) -> pl.DataFrame:
    """Remove duplicate rows from a batch that must contain some.

    Later steps hold all rows of a minute in memory. A small compressed file can contain millions of equal rows. A batch
    must contain duplicates if it has more rows than meters multiplied by times. To check this is faster than to search
    every batch.
    """
    if readings["device_id"].n_unique() * readings["time"].n_unique() >= len(readings):
        return readings
    # Rows without a UTC offset are kept: they may belong to both passes of the hour that clocks repeat.
    own_number = pl.when(~pl.col(IS_UNAMBIGUOUS)).then(ROW).alias("own_number")
    numbered = readings.with_columns(own_number)
    values = [name for name in numbered.columns if name != ROW]
    return numbered.unique(values, keep="first", maintain_order=True).drop("own_number")
