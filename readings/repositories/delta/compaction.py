"""Compaction: rewrite the many files of a day into few, with the readings in order.

Delta's own compaction interleaves the rows of the files it joins, so a page would have to search for its interval
among others; it also holds the whole day in memory. This one reads the day in order, frame by frame, and writes
each frame to a file. One commit replaces the old files by the new ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date

import polars as pl
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from readings import frame
from readings.repositories.delta.file_kinds import PARTITION, Kind, is_of_kind
from readings.repositories.delta.file_writer import delete_unless_committed, write_file
from readings.repositories.delta.folder import Folder
from readings.repositories.delta.open_table import AFTER_COMMIT
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.window import window_of_day

READINGS_PER_FILE = 1_000_000
"""About how many readings a compacted file holds: about 30 MB on disk, 110 MB in memory."""
MIN_FILES = 24
"""A day with fewer files than this is not compacted, unless it has many corrections."""
MIN_CORRECTION_FILES = 8
"""A day with this many files of corrections is compacted: a page reads each one that has rows of its minutes."""


def days_to_compact(table: DeltaTable) -> list[date]:
    """Return the days with at least :data:`MIN_CORRECTION_FILES`, or with many files.

    Many are at least :data:`MIN_FILES`, and at least twice as many as the day needs.
    """
    files = pl.DataFrame(table.get_add_actions(flatten=True))
    if files.is_empty():
        return []
    days = files.group_by(pl.col(f"partition.{PARTITION}").alias("day")).agg(
        pl.len().alias("files"),
        pl.col("num_records").sum().alias("readings"),
        is_of_kind(Kind.CORRECTIONS, "path").sum().alias("corrections"),
    )
    return [
        day
        for day, count, readings, corrections in days.sort("day").iter_rows()
        if corrections >= MIN_CORRECTION_FILES
        or count >= max(MIN_FILES, 2 * math.ceil(readings / READINGS_PER_FILE))
    ]


def compact_day(
    folder: Folder, table: DeltaTable, snapshot: DeltaSnapshot, day: date, commit: CommitProperties
) -> bool:
    """Rewrite one day. ``snapshot`` must be the version at which ``table`` was opened.

    Returns False, and deletes the new files, if another writer committed in the meantime.
    """
    version, new_files = table.version(), list(_write_files(folder, snapshot, day))
    try:
        table.create_write_transaction(
            [*new_files],
            mode="overwrite",
            schema=table.schema(),
            partition_by=[PARTITION],
            partition_filters=[(PARTITION, "=", day.isoformat())],
            commit_properties=commit,
            post_commithook_properties=AFTER_COMMIT,
        )
    except CommitFailedError:
        return delete_unless_committed(folder, version, new_files)
    return True


def _write_files(folder: Folder, snapshot: DeltaSnapshot, day: date) -> Iterator[AddAction]:
    window = window_of_day(day)
    for readings in snapshot.frames(
        window, columns=frame.FULL_COLUMNS, frame_readings=READINGS_PER_FILE
    ):
        yield write_file(folder, day, readings, Kind.MAIN, data_change=False)
    for versions in _joined(snapshot.replaced_versions(window)):
        yield write_file(folder, day, versions, Kind.REPLACED, data_change=False)


def _joined(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Join consecutive frames into frames of about :data:`READINGS_PER_FILE` rows."""
    waiting: list[pl.DataFrame] = []
    for each in frames:
        waiting.append(each)
        if sum(map(len, waiting)) >= READINGS_PER_FILE:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)
