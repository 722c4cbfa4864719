"""Reads a few meters in one version of a table: from meter copies, or from data files if a day has no copy."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import date
from math import ceil, inf

import polars as pl

from readings import frame
from readings.repositories.delta.data_files import DataFiles, collect
from readings.repositories.delta.day_index import DeltaMinuteIndex
from readings.repositories.delta.meter_copies import COPIED_COLUMNS, MeterCopies
from readings.repositories.delta.meter_rows import read_meters
from readings.repositories.delta.minute_reader import DeltaMinuteReader
from readings.repositories.delta.version_finder import VersionFinder
from readings.repositories.delta.versions import replace_versions
from readings.repositories.minute_index import MinuteCounts
from readings.repository_errors import RepositoryUnavailableError
from readings.window import Window

log = logging.getLogger(__name__)

_MINUTES_PER_DAY = 1440
_MIN_MINUTES_SEARCHED = 64
"""Few meters have few readings in a minute, so at least this many minutes are searched at once."""
_MIN_READINGS_PER_DAY = 24
"""Nearly all meters send at least this many readings. So the number of days with enough readings can be estimated."""
_MAX_DAYS_AT_ONCE = 32


class FewMeters:
    """Reads a few meters. The readings have the columns of ``reader``."""

    def __init__(
        self,
        files: DataFiles,
        versions: VersionFinder,
        copies: MeterCopies,
        reader: DeltaMinuteReader,
    ) -> None:
        self._files = files
        self._folder = files.folder
        self._rows = versions
        self._copies = copies
        self._reader = reader
        self._are_copied = {*reader.columns} <= {*COPIED_COLUMNS, "measure_name"}

    def read(self, window: Window, limit: float = inf) -> pl.DataFrame:
        """Return at least the first ``limit`` readings of the window, in order. The window must name a few meters.

        They are not counted first: to count the readings of a meter takes as long as to read them.
        """
        found = [frame.empty(self._reader.columns)]
        per_meter = limit / len(window.device_ids)
        days = self._rows.days(window)
        at_once = ceil(min(per_meter / _MIN_READINGS_PER_DAY, _MAX_DAYS_AT_ONCE))
        minutes_at_once = max(_MIN_MINUTES_SEARCHED, ceil(min(per_meter, _MINUTES_PER_DAY)))
        for start in range(0, len(days), at_once):
            together = days[start : start + at_once]
            copied = self._read_copies(window, together)
            for day in together:
                frames = (
                    [copied[day]] if day in copied else self._read_day(window, day, minutes_at_once)
                )
                for readings in frames:
                    found.append(readings)
                    limit -= len(readings)
                    if limit <= 0:  # so that the indexes of later days are not loaded
                        return pl.concat(found)
        return pl.concat(found)

    def _read_copies(self, window: Window, days: Sequence[date]) -> dict[date, pl.DataFrame]:
        """Return the window's readings of those days that have a usable copy."""
        if not self._are_copied:
            return {}
        usable = {day: self._files.by_day[day] for day in days if self._copy_is_valid(day, window)}
        copies = self._copies.find(usable)
        try:
            return self._copies.read(copies, window, self._reader.columns)
        except RepositoryUnavailableError as error:
            # The data files have all readings too. A file of the copy may be damaged, or was deleted after `find`.
            log.warning("meter copies are not used", extra={"error": str(error)})
            return {}

    def _copy_is_valid(self, day: date, window: Window) -> bool:
        """Return whether a copy of the day has the window's valid versions: nothing arrived after its ``as_of``."""
        return window.as_of is None or not self._files.has_arrivals_after(window.as_of, day)

    def _read_day(self, window: Window, day: date, length: int) -> Iterator[pl.DataFrame]:
        """Yield the window's readings of a day, in order, from its data files: ``length`` minutes at once."""
        index = self._rows.index(day)
        minutes = index.overlapping(window)
        for start in range(0, len(minutes), length):
            yield self._read_minutes(window, index, minutes[start : start + length])

    def _read_minutes(
        self, window: Window, index: DeltaMinuteIndex, minutes: MinuteCounts
    ) -> pl.DataFrame:
        """Return the window's readings in some minutes of an index, in order."""
        first, last = minutes.first_minute, minutes.last_minute
        statistics = index.main.described(minutes)
        if statistics is not None:
            readings = read_meters(
                self._folder, statistics, window.device_ids, self._reader.columns
            )
            if readings is not None:
                others = self._rows.others(first, last, window.as_of, search=True)
                if others is not None:
                    found = collect(others.scan(self._folder, window, self._reader.columns))
                    readings = replace_versions(readings, found, others.as_of)
                return readings.filter(window.predicate())
        return self._reader.read_span(window, first, last)
