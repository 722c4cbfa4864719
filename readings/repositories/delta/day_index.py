"""The minutes of one day of a Delta table, and the rows of the data files that hold them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from readings.instants import to_micros
from readings.repositories.delta.data_files import RowRange
from readings.repositories.delta.file_kinds import Kind, is_of_kind
from readings.repositories.minute_index import MinuteCounts, MinuteIndex, as_int_array

FileRows = tuple[str, int, int, int]
"""A minute in a file: the file, the first row, the number of readings, and of rows from the first to the last."""


class MinuteRows:
    """The minutes of the files of one kind. ``statistics`` has a row for each file and minute, ascending by minute."""

    def __init__(self, statistics: pl.DataFrame) -> None:
        self.statistics = statistics
        self._minute = as_int_array(statistics["minute"])
        self._is_in_order = statistics["meters"].is_not_null().to_numpy()
        self._rows: list[FileRows] = statistics.select("file", "row", "readings", "span").rows()

    def between(self, first: datetime, last: datetime) -> list[FileRows]:
        """Return the rows of the minutes from ``first`` to ``last``, in each of their files."""
        return self._rows[self._slice(to_micros(first), to_micros(last))]

    def described(self, minutes: MinuteCounts) -> pl.DataFrame | None:
        """Return the statistics of consecutive minutes, or None if they were counted by reading them."""
        if not len(minutes):
            return self.statistics.clear()
        between = self._slice_of(minutes)
        return self.statistics[between] if self._is_in_order[between].all() else None

    def has_one_file_for_each(self, minutes: MinuteCounts) -> bool:
        """Return whether each of these minutes is in one file, and nothing else is between them."""
        return np.array_equal(self._minute[self._slice_of(minutes)], minutes.minute)

    def in_order(self, minute: int) -> list[RowRange] | None:
        """Return the rows of a minute in each of its files, or None if some are not stored in order.

        ``minute`` is in microseconds since 1970.
        """
        between = self._slice(minute, minute)
        if not self._is_in_order[between].all():
            return None
        return [RowRange(file, row, readings) for file, row, readings, _ in self._rows[between]]

    def _slice_of(self, minutes: MinuteCounts) -> slice:
        return self._slice(int(minutes.minute[0]), int(minutes.minute[-1]))

    def _slice(self, first: int, last: int) -> slice:
        start = self._minute.searchsorted(first)
        return slice(int(start), int(self._minute.searchsorted(last, side="right")))


class DeltaMinuteIndex(MinuteIndex):
    """The minutes of one day. They count readings, but their bounds of the arrival time are those of all versions."""

    def __init__(self, counts: pl.DataFrame) -> None:
        """``counts`` has the columns of ``FILE_STATISTICS_SCHEMA``."""
        counts = counts.sort("minute")
        self.main, self.corrections, self.replaced = (
            MinuteRows(counts.filter(is_of_kind(kind, "file"))) for kind in Kind
        )
        minutes = counts.group_by("minute", maintain_order=True).agg(
            pl.col("readings").filter(is_of_kind(Kind.MAIN, "file")).sum(),
            pl.col("first", "first_arrival").min(),
            pl.col("last", "last_arrival").max(),
        )
        super().__init__(minutes)
        self._in_order: dict[int, RowRange | None] = {}
        """The results of :meth:`minute_in_order`: pages of the same minute ask for it again and again."""

    def other_versions(
        self, first: datetime, last: datetime, as_of: datetime | None
    ) -> list[FileRows]:
        """Return the rows of other files than main files that are needed to find the valid versions of some minutes."""
        rows = self.corrections.between(first, last)
        if as_of is not None and self.arrives_after(as_of, first, last):
            rows = rows + self.replaced.between(first, last)
        return rows

    def every_version(self, first: datetime, last: datetime) -> list[FileRows]:
        """Return the rows that hold all versions of the readings of some minutes."""
        kinds = (self.main, self.corrections, self.replaced)
        return [row for rows in kinds for row in rows.between(first, last)]

    def rows_in_order(self, minutes: MinuteCounts) -> list[RowRange] | None:
        """Return the rows of some minutes of this index, if their readings are stored in order; otherwise None."""
        rows: list[RowRange] = []
        for minute in minutes.minute.tolist():
            found = self.minute_in_order(minute)
            if found is None:
                return None
            rows.append(found)
        return rows

    def minute_in_order(self, minute: int) -> RowRange | None:
        """Return the rows of a minute, if its readings are stored in order in one main file; otherwise None.

        ``minute`` is in microseconds since 1970.
        """
        if minute not in self._in_order:
            self._in_order[minute] = self._find_in_order(minute)
        return self._in_order[minute]

    def _find_in_order(self, minute: int) -> RowRange | None:
        rows, corrections = self.main.in_order(minute), self.corrections.in_order(minute)
        if rows is None or corrections is None or len(rows) != 1:
            return None
        return replace(rows[0], corrections=tuple(corrections))

    def revisions(self) -> pl.DataFrame:
        """Return how many versions each minute has outside main files: ``minute`` and ``revision``, never 0."""
        others = pl.concat([self.corrections.statistics, self.replaced.statistics])
        return others.group_by("minute").agg(pl.col("readings").sum().alias("revision"))
