"""Finds the rows in the data files that hold the versions of some readings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime

from readings.instants import LAST_INSTANT, from_micros, to_micros
from readings.repositories.delta.data_files import (
    DataFiles,
    RowRange,
    RowSelection,
    merge_row_ranges,
)
from readings.repositories.delta.day_index import DeltaMinuteIndex, FileRows
from readings.repositories.delta.file_counts import FileCounts
from readings.repositories.delta.minute_statistics import MICROS_PER_MINUTE
from readings.repositories.delta.versions import OtherVersions, VersionRows
from readings.repositories.minute_index import LAST_MICROSECOND
from readings.window import Window


class VersionFinder:
    """Finds rows in one version of a table.

    If a method has the parameter ``search``, the rows are searched for and not read by their number. For a few meters
    this decodes less.
    """

    def __init__(self, files: DataFiles, file_counts: FileCounts) -> None:
        self.folder = files.folder
        self._files = files
        self._file_counts = file_counts

    def days(self, window: Window) -> list[date]:
        """Return the days that may hold readings of the window, ascending."""
        days = self._files.days.overlapping(window).minute
        return [from_micros(midnight).date() for midnight in days]

    def index(self, day: date) -> DeltaMinuteIndex:
        """Return the minutes of a day."""
        return self._file_counts.index(day, self._files.by_day[day])

    def minute_in_order(self, instant: datetime) -> RowRange | None:
        """Return the rows of the minute of an instant, if they are stored in order in one main file; otherwise None."""
        day = instant.date()
        if day not in self._files.by_day:
            return None
        micros = to_micros(instant)
        return self.index(day).minute_in_order(micros - micros % MICROS_PER_MINUTE)

    def indexes(self, window: Window) -> Iterator[DeltaMinuteIndex]:
        """Yield one index for each day of the window."""
        for day in self.days(window):
            yield self.index(day)

    def count_days(self, window: Window) -> None:
        """Count the files of all days of the window in one query, which is faster than one query for each day."""
        self._file_counts.load({day: self._files.by_day[day] for day in self.days(window)})

    def valid(
        self, first: datetime, last: datetime, as_of: datetime | None, *, search: bool
    ) -> VersionRows:
        """Return the rows that decide which versions of the minutes' readings are valid."""
        main = self.main(first, last, search=search)
        return VersionRows(main, self.others(first, last, as_of, search=search))

    def main(self, first: datetime, last: datetime, *, search: bool) -> RowSelection:
        """Return the rows of the minutes from ``first`` to ``last`` in main files: one for each reading."""
        indexes = self._between(first, last)
        rows = [row for index in indexes for row in index.main.between(first, last)]
        return _select(rows, first, last, search=search)

    def others(
        self, first: datetime, last: datetime, as_of: datetime | None, *, search: bool
    ) -> OtherVersions | None:
        """Return the rows that are needed in addition to those of :meth:`main`, or None if there are none."""
        indexes = self._between(first, last)
        rows = [row for index in indexes for row in index.other_versions(first, last, as_of)]
        if not rows:
            return None
        if as_of and not any(index.arrives_after(as_of, first, last) for index in indexes):
            as_of = None
        return OtherVersions(_select(rows, first, last, search=search), as_of)

    def every_version(self, first: datetime, last: datetime, *, search: bool) -> RowSelection:
        """Return the rows of all versions of the minutes' readings."""
        indexes = self._between(first, last)
        rows = [row for index in indexes for row in index.every_version(first, last)]
        return _select(rows, first, last, search=search)

    def corrected(self, minutes: Sequence[datetime]) -> VersionRows:
        """Return the rows that decide which versions of these minutes, ascending, are valid. All have corrections."""
        first, last = minutes[0], minutes[-1]
        indexes = self._between(first, last)
        main, others = (
            [row for rows in of_days for minute in minutes for row in rows.between(minute, minute)]
            for of_days in zip(*((index.main, index.corrections) for index in indexes), strict=True)
        )
        corrections = OtherVersions(_select(others, first, last, search=False), None)
        return VersionRows(_select(main, first, last, search=False), corrections)

    def valid_in_files(self, window: Window) -> VersionRows:
        """Return the files that decide which versions of the window's readings are valid, without counting them."""
        end = window.end or LAST_INSTANT
        files = self._files.other_versions(window.start, end, window.as_of)
        others = RowSelection(files, window.start, end, None)
        return VersionRows(
            self.main_in_files(window), OtherVersions(others, window.as_of) if files else None
        )

    def main_in_files(self, window: Window) -> RowSelection:
        """Return the main files that may have readings of the window, without counting them."""
        end = window.end or LAST_INSTANT
        return RowSelection(self._files.overlapping(window.start, end), window.start, end, None)

    def _between(self, first: datetime, last: datetime) -> list[DeltaMinuteIndex]:
        return [*self.indexes(Window(first, last + LAST_MICROSECOND))]


def _select(rows: list[FileRows], first: datetime, last: datetime, *, search: bool) -> RowSelection:
    files = tuple(sorted({file for file, *_ in rows}))
    ranges = None if search else merge_row_ranges(rows)
    return RowSelection(files, first, last + LAST_MICROSECOND, ranges)
