"""The day cache: results for days that ended more than a day ago, in files next to the table.

Data files never change, so a result that was computed from some data files stays valid for them. A cache file is named
after its day and the data files it was computed from. A day that received another reading since then has other
data files, so it has no valid cache file and is read itself.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import polars as pl

from readings.window import DAY, window_of_day

log = logging.getLogger(__name__)

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


def delete_if_older(file: Path, limit: float) -> bool:
    """Delete a file that was last changed before ``limit``, in seconds since 1970. Return whether it was deleted.

    A file that cannot be deleted, for example because another user owns it, is logged and stays.
    """
    try:
        if file.stat().st_mtime >= limit:
            return False
        file.unlink()
    except FileNotFoundError:  # another process was faster
        return False
    except OSError as error:
        log.warning("an unused file cannot be deleted", extra={"error": str(error)})
        return False
    return True


def finished_days(days: Iterable[date], now: datetime) -> list[date]:
    """Return the days that ended more than :data:`FINISHED_AFTER` ago, newest first."""
    latest_midnight = now - FINISHED_AFTER - DAY
    return sorted(
        (day for day in days if window_of_day(day).start <= latest_midnight), reverse=True
    )


class DayCache:
    """The cache files of one kind, in one folder inside the table's folder."""

    def __init__(self, table_folder: str, name: str) -> None:
        self._folder = Path(table_folder) / name

    def find(self, by_day: FilesByDay) -> dict[date, Path]:
        """Return the cache files of those days that have a valid one."""
        paths = ((day, self._path(day, files)) for day, files in by_day.items())
        return {day: path for day, path in paths if path.exists()}

    def store(self, day: date, files: Sequence[str], rows: pl.DataFrame) -> None:
        """Store a result that was computed from these data files of a day. The file appears atomically."""
        self._folder.mkdir(exist_ok=True)
        temporary = self._folder / f".{uuid.uuid4()}"
        rows.write_parquet(temporary, compression="zstd", row_group_size=_ROWS_PER_GROUP)
        temporary.replace(self._path(day, files))

    def delete_unused(self, by_day: FilesByDay) -> int:
        """Delete the files that are valid for none of these days, an hour after their last change.

        Return how many files were deleted. Unfinished temporary files are included, files of other programs are not.
        """
        used = set(self.find(by_day).values())
        limit = time.time() - DELETE_AFTER_SECONDS
        files = self._folder.iterdir() if self._folder.exists() else ()
        unused = (file for file in files if _OUR_NAME.fullmatch(file.name) and file not in used)
        return sum(delete_if_older(file, limit) for file in unused)

    def _path(self, day: date, files: Sequence[str]) -> Path:
        names = "\n".join(sorted(Path(file).name for file in files))
        digest = hashlib.sha256(names.encode()).hexdigest()[:32]
        return self._folder / f"{day.isoformat()}-{digest}.parquet"
