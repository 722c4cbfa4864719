"""The day cache: results for days that ended more than a day ago, in files next to the table.

Data files never change, so a result that was computed from some data files stays valid for them. A cache file is named
after its day and the data files it was computed from. A day that received another reading since then has other
data files, so it has no valid cache file and is read itself.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import PurePath

import polars as pl

from readings.repositories.delta.failures import unavailable_if_it_fails
from readings.repositories.delta.folder import Folder
from readings.window import DAY, window_of_day

FilesByDay = Mapping[date, Sequence[str]]
"""The full paths of each day's data files."""
MINUTE_COUNTS, HOURLY_SUMS, DAY_SUMMARIES = "_minutes", "_hours", "_days"
"""The folders: for :mod:`file_counts`, :mod:`hourly_sums` and :mod:`day_summaries`. Delta ignores names that begin with
an underscore."""
FINISHED_AFTER = DAY
"""How long after its end a day counts as finished. Few late readings are expected after that."""
_ROWS_PER_GROUP = 24_000
"""The hourly sums of a thousand meters for a day."""
DELETE_AFTER_SECONDS = 3600
"""An unused file is deleted after this time, because a running query may still read it."""

_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_OUR_NAME = re.compile(rf"\d{{4}}-\d\d-\d\d-[0-9a-f]{{32}}\.parquet|\.{_UUID}", re.ASCII)
"""The names that :class:`DayCache` gives, also to a file that is not finished."""


def finished_days(days: Iterable[date], now: datetime) -> list[date]:
    """Return the days that ended more than :data:`FINISHED_AFTER` ago, newest first."""
    latest_midnight = now - FINISHED_AFTER - DAY
    return sorted(
        (day for day in days if window_of_day(day).start <= latest_midnight), reverse=True
    )


class DayCache:
    """The cache files of one kind, in one folder inside the table's folder."""

    def __init__(self, folder: Folder, kind: str) -> None:
        self._folder = folder
        self._kind = kind

    def find(self, by_day: FilesByDay) -> dict[date, str]:
        """Return the paths of the cache files of those days that have a valid one.

        Raises :class:`RepositoryUnavailableError` if a disk or a bucket cannot be read.
        """
        names = {day: self._name(day, files) for day, files in by_day.items()}
        with unavailable_if_it_fails("The day cache cannot be read"):
            existing = self._folder.existing(names.values())
        return {day: self._folder.path(name) for day, name in names.items() if name in existing}

    def store(self, day: date, files: Sequence[str], rows: pl.DataFrame) -> None:
        """Store a result that was computed from these data files of a day. The file appears atomically."""
        name = self._name(day, files)
        self._folder.put_frame(name, rows, compression="zstd", row_group_size=_ROWS_PER_GROUP)

    def delete_unused(self, by_day: FilesByDay) -> int:
        """Delete the files that are valid for none of these days, an hour after their last change.

        Return how many files were deleted. Unfinished temporary files are included, files of other programs are not.
        """
        used = {self._name(day, files) for day, files in by_day.items()}
        unused = [
            name
            for name in self._folder.names(self._kind)
            if _OUR_NAME.fullmatch(PurePath(name).name) and name not in used
        ]
        return self._folder.remove_older(unused, time.time() - DELETE_AFTER_SECONDS)

    def _name(self, day: date, files: Sequence[str]) -> str:
        names = "\n".join(sorted(PurePath(file).name for file in files))
        digest = hashlib.sha256(names.encode()).hexdigest()[:32]
        return f"{self._kind}/{day.isoformat()}-{digest}.parquet"
