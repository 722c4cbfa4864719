"""Write data files for a commit of the Delta table.

Polars writes a file with several threads. delta-rs's own writer has one, and takes four times as long.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import PurePath

import polars as pl
from deltalake.transaction import AddAction

from readings import frame
from readings.repositories.delta.commit_log import Commit
from readings.repositories.delta.failures import FAILURES
from readings.repositories.delta.file_kinds import PARTITION, Kind, new_name
from readings.repositories.delta.folder import Folder
from readings.repositories.delta.minute_statistics import store_statistics

ROWS_PER_GROUP = 10_000
"""The rows of a row group.

A meter's reading of an interval is in one of the interval's row groups. The smallest and largest device id of each
group show which one. A meter's day among 14.4 million readings took 0.13 s with these groups. With groups of
50,000 rows it took 0.46 s, and 3 % less disk space.
"""
_PAGE_BYTES = 22_500
"""The size of a data page before compression. Pages without a requested row are not decompressed.

Polars counts 9 bytes for a number and 45 for a device id. So a page has 2,500 numbers or 500 device ids, and a block of
1,000 rows needs two whole pages of device ids. With 16,000 bytes, it needed parts of three or four. Reading a block takes
the same time with both sizes, but with 22,500 bytes a file is written 5 to 8 % faster and is 3 % smaller. With 24,000
bytes, reading is 3 % slower.
"""
_COMPRESSION_LEVEL = 1
"""Higher levels take twice as long, and make the files of readings no smaller."""


def write_days(folder: Folder, readings: Mapping[Kind, pl.DataFrame]) -> list[AddAction]:
    """Write readings (in order) into new data files of each kind, one for each of their days.

    The files are not part of the table until the returned actions are committed. If a file cannot be written, no file
    is left. Raises ``OSError`` and the errors of the libraries.
    """
    new_files: list[AddAction] = []
    try:
        for kind, of_kind in readings.items():
            for day, of_day in _by_day(of_kind):
                new_files.append(write_file(folder, day, of_day, kind, data_change=True))
    except BaseException:
        delete_files(folder, new_files)
        raise
    return new_files


def write_file(
    folder: Folder, day: date, readings: pl.DataFrame, kind: Kind, *, data_change: bool
) -> AddAction:
    """Write the readings (in order) of one day into a new data file, and return the action that adds it to the table.

    ``data_change`` is false if the table has these readings already. If the data file or its statistics cannot be
    written, the data file is deleted. Maintenance deletes statistics without a data file. A further column that is null
    in all readings is not written.
    """
    name = new_name(day, kind)
    readings = without_empty_columns(readings)
    # Another thread computes the statistics, because Polars leaves a core idle for a part of the time.
    with ThreadPoolExecutor(1) as thread:
        statistics = thread.submit(store_statistics, folder, name, readings)
        try:
            size = folder.write_frame(
                name,
                readings,
                compression="zstd",
                compression_level=_COMPRESSION_LEVEL,
                row_group_size=ROWS_PER_GROUP,
                data_page_size=_PAGE_BYTES,
            )
            statistics.result()
        except BaseException:
            # If the file cannot be deleted, the first error is still the reason.
            with suppress(*FAILURES):
                folder.remove([name])
            raise
    return AddAction(
        path=name,
        size=size,
        partition_values={PARTITION: day.isoformat()},
        modification_time=int(time.time() * 1000),
        data_change=data_change,
        stats=json.dumps(_statistics(readings)),
    )


def without_empty_columns(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the readings without those further columns that are null in all of them: files need not store these."""
    empty = [
        name
        for name in readings.columns
        if name in frame.FURTHER_SCHEMA and readings[name].null_count() == len(readings)
    ]
    # `drop` runs a query even if it drops nothing.
    return readings.drop(empty) if empty else readings


def delete_files(folder: Folder, new_files: Iterable[AddAction]) -> None:
    """Delete files that were written, but not committed."""
    folder.remove(file.path for file in new_files)


def delete_unless_committed(folder: Folder, version: int, new_files: Sequence[AddAction]) -> bool:
    """Delete files whose commit was refused, and return False; or return True if the commit exists after all.

    ``version`` is that of the table before the commit. A server can report an error after it has created the commit.
    Then the library repeats the call, and is refused because its own commit exists.
    """
    following = Commit(folder, version, None).following()
    if following is None:
        # Too many commits follow to search them. Maintenance deletes the files if they are not in use.
        return False
    names = {PurePath(file.path).name.encode() for file in new_files}
    if any(name in content for content in following for name in names):
        return True
    delete_files(folder, new_files)
    return False


def _by_day(readings: pl.DataFrame) -> Iterable[tuple[date, pl.DataFrame]]:
    if readings.is_empty():
        return []
    first, last = readings["time"][0].date(), readings["time"][-1].date()
    if first == last:
        return [(first, readings)]
    with_day = readings.with_columns(pl.col("time").dt.date().alias(PARTITION))
    days = with_day.partition_by(PARTITION, maintain_order=True, include_key=False, as_dict=True)
    return [(day, of_day) for (day,), of_day in days.items()]


def _statistics(readings: pl.DataFrame) -> dict[str, object]:
    """Return what the table's log stores about a file: bounds of its two instants, truncated to milliseconds."""
    instants = ("time", "arrival_time")

    def as_texts(values: pl.DataFrame) -> dict[str, str]:
        return {
            name: instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            for name, instant in values.row(0, named=True).items()
        }

    return {
        "numRecords": len(readings),
        "minValues": as_texts(readings.select(pl.col(instants).min())),
        "maxValues": as_texts(readings.select(pl.col(instants).max())),
        "nullCount": readings.null_count().row(0, named=True),
    }
