"""Meter copies: each has all readings of a day that has ended, ordered by meter.

Data files are ordered by time: the readings of a meter's day are in as many places as the day has intervals. In the
meter copy they are in one place. A copy consists of Parquet files, each with the readings of some meters (adjacent
ids), and of an index. The index is written last, so an unfinished copy is never used.

The name of a copy contains the day and a hash of the data files that its readings come from, as in the day cache. If a
reading of the day is added or corrected, or if the day is compacted, the name no longer matches. Then the copy is not
used.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath

import polars as pl

from readings import frame
from readings.repositories.delta.data_files import Columns, collect_all
from readings.repositories.delta.day_cache import DELETE_AFTER_SECONDS, FilesByDay
from readings.repositories.delta.failures import FAILURES, unavailable_if_it_fails
from readings.repositories.delta.folder import Folder
from readings.window import Window

_CONSTANT = "measure_name"
COPIED_COLUMNS = tuple(
    name for name in frame.FULL_COLUMNS if name not in (_CONSTANT, "import_kwh", "export_kwh")
)
"""The columns of a copy. The registers would take a third of its space, and callers read only a few of them."""
_FOLDER = "_meters"
"""Delta ignores names that begin with an underscore."""
_ROWS_PER_GROUP = 28_800
"""A day of a hundred meters with 288 readings each. To read a meter, only its row group is decoded."""
_PAGE_BYTES = 64_000
_COMPRESSION_LEVEL = 1
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_INDEX = re.compile(rf"{_FOLDER}/(?P<copy>\d{{4}}-\d\d-\d\d-[0-9a-f]{{32}})\.json", re.ASCII)
_PART = re.compile(rf"{_FOLDER}/(?P<copy>\d{{4}}-\d\d-\d\d-[0-9a-f]{{32}})-\d+\.parquet", re.ASCII)
_TEMPORARY = re.compile(rf"{_FOLDER}/\.{_UUID}", re.ASCII)


@dataclass(frozen=True)
class MeterCopy:
    """The copy of a day: the paths of its files, and the first device id in each of them, ascending."""

    paths: tuple[str, ...]
    first_ids: tuple[str, ...]

    def path_of(self, device_id: str) -> str | None:
        """Return the path of the only file that may have readings of a meter, or None if there is none."""
        place = bisect_right(self.first_ids, device_id) - 1
        return self.paths[place] if place >= 0 else None


class MeterCopies:
    """The meter copies of a table, in one folder inside the table's folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def find(self, by_day: FilesByDay) -> dict[date, MeterCopy]:
        """Return the copies of those days that have one of exactly these data files.

        Raises :class:`RepositoryUnavailableError` if a disk or a bucket cannot be read.
        """
        copies = [_name(day, files) for day, files in by_day.items()]
        with unavailable_if_it_fails("A meter copy cannot be read"):
            contents = self._folder.read([f"{copy}.json" for copy in copies])
        found = {}
        for day, copy, content in zip(by_day, copies, contents, strict=True):
            # A power failure can leave a file without its content.
            with suppress(ValueError):
                first_ids = tuple(json.loads(content or b""))
                parts = (_part(copy, number) for number in range(len(first_ids)))
                found[day] = MeterCopy(tuple(map(self._folder.path, parts)), first_ids)
        return found

    def read(
        self, copies: dict[date, MeterCopy], window: Window, columns: Columns
    ) -> dict[date, pl.DataFrame]:
        """Return the window's readings of each of these days, in order. The window names the meters.

        ``columns`` are those of :data:`COPIED_COLUMNS` and ``measure_name``. If ``as_of`` bounds the window, no reading
        of these days may have arrived later. Raises :class:`RepositoryUnavailableError` if a file cannot be read.
        """
        queries, days = [], []
        for day, copy in copies.items():
            paths = {copy.path_of(device_id) for device_id in window.device_ids}
            for path in sorted(filter(None, paths)):
                queries.append(_query(self._folder, path, window, columns))
                days.append(day)
        readings = {day: frame.empty(columns) for day in copies}
        for day, found in zip(days, collect_all(queries), strict=True):
            readings[day] = pl.concat([readings[day], found])
        return {day: found.sort(frame.ORDER) for day, found in readings.items()}

    def store(self, day: date, files: Sequence[str], parts: Iterable[pl.DataFrame]) -> None:
        """Store the copy of a day that was made from these data files. :meth:`find` finds it after its last write.

        After an error, such as a full disk, the files that were stored are deleted.

        ``parts`` have the columns of :data:`COPIED_COLUMNS`. All rows are sorted by ``device_id`` and ``time``, within
        and across parts. No meter is in two parts.
        """
        copy, first_ids = _name(day, files), []
        try:
            for number, part in enumerate(parts):
                self._folder.put_frame(
                    _part(copy, number),
                    part,
                    compression="zstd",
                    compression_level=_COMPRESSION_LEVEL,
                    row_group_size=_ROWS_PER_GROUP,
                    data_page_size=_PAGE_BYTES,
                )
                first_ids.append(part["device_id"][0])
            self._folder.put(f"{copy}.json", json.dumps(first_ids).encode())
        except Exception:
            with suppress(*FAILURES):
                # If the index exists, another process has completed the copy.
                if not self._folder.existing([f"{copy}.json"]):
                    self._folder.remove(_part(copy, number) for number in range(len(first_ids)))
            raise

    def delete_unused(self, by_day: FilesByDay) -> int:
        """Delete the copies of other data files than these, an hour after they were stored.

        Return how many files were deleted. Unfinished temporary files are included, files of other programs are not.
        """
        used = {PurePath(_name(day, files)).name for day, files in by_day.items()}
        limit = time.time() - DELETE_AFTER_SECONDS
        names = self._folder.names(_FOLDER)
        indexes = [
            name
            for name in names
            if (found := _INDEX.fullmatch(name)) and found["copy"] not in used
        ]
        deleted = self._folder.remove_older(indexes, limit)
        # The files of a copy are older than its index, but must not be deleted before it.
        kept = self._folder.existing(indexes) if indexes else set()
        used |= {PurePath(index).stem for index in kept}
        unused = [
            name
            for name in names
            if _TEMPORARY.fullmatch(name)
            or ((found := _PART.fullmatch(name)) and found["copy"] not in used)
        ]
        return deleted + self._folder.remove_older(unused, limit)


def _query(folder: Folder, path: str, window: Window, columns: Columns) -> pl.LazyFrame:
    readings = folder.scan([path]).filter(window.predicate())
    return readings.with_columns(pl.lit(frame.MEASURE_NAME).alias(_CONSTANT)).select(columns)


def _name(day: date, files: Sequence[str]) -> str:
    names = "\n".join(sorted(PurePath(file).name for file in files))
    digest = hashlib.sha256(names.encode()).hexdigest()[:32]
    return f"{_FOLDER}/{day.isoformat()}-{digest}"


def _part(copy: str, number: int) -> str:
    return f"{copy}-{number}.parquet"
