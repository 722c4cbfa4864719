"""The repository in a Delta Lake table on a disk or in a bucket. Many processes can write and read it at once.

Writers do not lock. Every write is one commit with the same application transaction. If two writers opened the same
version, only one of them commits; the other opens the new version and checks again what is already stored. This
keeps versions unique, and each reading once in the main files.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError

from readings.repositories.base import ReadingsRepository, Snapshot
from readings.repositories.delta.commit_log import Commit
from readings.repositories.delta.compaction import compact_day, days_to_compact
from readings.repositories.delta.data_files import DataFiles
from readings.repositories.delta.day_cache import (
    DAY_SUMMARIES,
    HOURLY_SUMS,
    MINUTE_COUNTS,
    DayCache,
)
from readings.repositories.delta.failures import FAILURES, reason, unavailable_if_it_fails
from readings.repositories.delta.file_counts import FileCounts
from readings.repositories.delta.file_kinds import PARTITION, Kind
from readings.repositories.delta.file_writer import (
    delete_unless_committed,
    without_empty_columns,
    write_days,
)
from readings.repositories.delta.folder import DiskFolder, Folder
from readings.repositories.delta.maintenance import (
    delete_unused_files,
    fill_day_summaries,
    fill_hourly_sums,
    fill_meter_copies,
    fill_minute_counts,
)
from readings.repositories.delta.meter_copies import MeterCopies
from readings.repositories.delta.minute_statistics import delete_unused_statistics
from readings.repositories.delta.new_versions import new_readings, new_versions
from readings.repositories.delta.newest_files import NewestFiles
from readings.repositories.delta.open_table import (
    AFTER_COMMIT,
    OpenTable,
    OpenTablePerThread,
    can_hold,
    extend_schema,
)
from readings.repositories.delta.snapshot import DeltaSnapshot
from readings.repository_errors import RepositoryUnavailableError

log = logging.getLogger(__name__)

_TRANSACTION_ID = "readings-writer"
_WRITE_ATTEMPTS = 20

KEEP_VERSIONS = timedelta(days=7)
"""For this long, an export can read the version with which it started."""


class DeltaRepository(ReadingsRepository):
    """The repository of ``READINGS_URL=delta:///folder`` and ``READINGS_URL=delta+s3://bucket/prefix``.

    Args:
        folder: The folder of the table, or its path on a disk.
        clock: Returns the present time. It decides which days have ended.
        creates: Whether a missing table is created at its first use. A deployment passes False: only :meth:`check`
            then creates it.
    """

    def __init__(
        self,
        folder: Folder | str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        creates: bool = True,
    ) -> None:
        if isinstance(folder, str):
            folder = DiskFolder(Path(folder))
        self._folder = folder
        self._clock = clock
        self._minute_counts = DayCache(folder, MINUTE_COUNTS)
        self._hourly_sums = DayCache(folder, HOURLY_SUMS)
        self._day_summaries = DayCache(folder, DAY_SUMMARIES)
        self._meter_copies = MeterCopies(folder)
        self._file_counts = FileCounts(folder, self._minute_counts)
        self._lock = Lock()
        self._newest_files = NewestFiles(folder, creates=creates)
        self._newest: DeltaSnapshot | None = None
        self._newest_commit: Commit | None = None
        self._looked_at = -math.inf
        self._written_table = OpenTablePerThread(folder, creates=creates)

    def snapshot(self, name: str | None = None) -> DeltaSnapshot:
        """See :meth:`ReadingsRepository.snapshot`. The table keeps its versions for seven days."""
        with self._lock:
            newest = self._newest_snapshot()
        if name is None or name == newest.name:
            return newest
        try:
            table = self._folder.table(int(name))
            return self._snapshot_of(table.version(), DataFiles.of(self._folder, table))
        except FAILURES as error:
            raise RepositoryUnavailableError(
                f"Version {name} does not exist any more: {reason(error)}"
            ) from error

    def recent_snapshot(self) -> DeltaSnapshot:
        """See :meth:`ReadingsRepository.recent_snapshot`. On a disk it is the newest one."""
        with self._lock:
            age = time.monotonic() - self._looked_at
            if self._newest is None or age >= self._folder.recheck_seconds:
                return self._newest_snapshot()
            return self._newest

    def newer_snapshot(self, recent: Snapshot) -> DeltaSnapshot | None:
        """See :meth:`ReadingsRepository.newer_snapshot`."""
        newest = self.snapshot()
        return None if newest is recent else newest

    def check(self) -> None:
        """See :meth:`ReadingsRepository.check`. Writes an object into a bucket, and deletes it."""
        self._folder.check()
        OpenTable(self._folder, creates=True).newest()

    def table_id(self) -> str:
        """See :meth:`ReadingsRepository.table_id`. The id in the table's metadata."""
        with self._lock:
            self._newest_snapshot()
            return f"delta {self._newest_files.table_id}"

    def probe(self) -> None:
        """See :meth:`ReadingsRepository.probe`. Decodes a reading of the newest data file."""
        self.snapshot().read_newest_file()

    def write_in_order(self, readings: pl.DataFrame, *, corrections: bool = False) -> int:
        """See :meth:`ReadingsRepository.write_in_order`. The write is atomic."""
        readings = without_empty_columns(readings)

        def append(table: DeltaTable) -> int:
            if not can_hold(table, readings):
                extend_schema(table, exclusive_commit(table))
                table, _ = self._written_table.newest()
            files = DataFiles.of(self._folder, table)
            new = (
                new_versions(files, readings)
                if corrections
                else {Kind.MAIN: new_readings(files, readings)}
            )
            count = sum(map(len, new.values()))
            if count:
                self._append(table, new)
            return count

        return self._retry_after_conflicts(append)

    def delete_before(self, instant: datetime) -> None:
        """See :meth:`ReadingsRepository.delete_before`."""
        day = instant.astimezone(UTC).date().isoformat()

        def delete(table: DeltaTable) -> int:
            table.delete(f"{PARTITION} < '{day}'", post_commithook_properties=AFTER_COMMIT)
            return 0

        self._retry_after_conflicts(delete)

    def maintain(self, *, may_delete: bool = True) -> dict[str, int]:
        """Compact days with many files, fill the day cache, and write meter copies.

        If ``may_delete``, delete files older than all kept versions, log files that Delta no longer needs, and unused
        files of the day cache and of meter copies.
        """
        with unavailable_if_it_fails("The table cannot be maintained"):
            done = {"days compacted": self._compact()}
            if may_delete:
                table, _ = self._written_table.newest()
                done["files removed"] = delete_unused_files(self._folder, table, KEEP_VERSIONS)
                table.cleanup_metadata()
            return done | self._fill_day_cache(may_delete=may_delete)

    def _retry_after_conflicts(self, change: Callable[[DeltaTable], int]) -> int:
        """Return the result of ``change``, applied to the newest version of the table.

        If another writer commits first, ``change`` is called again with the version that this writer made.
        """
        for _ in range(_WRITE_ATTEMPTS):
            try:
                with unavailable_if_it_fails("The table cannot be written"):
                    return change(self._written_table.newest()[0])
            except CommitFailedError as error:
                log.info("another writer committed first, retrying", extra={"error": reason(error)})
        raise RepositoryUnavailableError(
            f"Other writers committed first in all {_WRITE_ATTEMPTS} attempts."
        )

    def _compact(self) -> int:
        compacted = 0
        for day in days_to_compact(self._written_table.newest()[0]):
            table, _ = self._written_table.newest()
            files, commit = DataFiles.of(self._folder, table), exclusive_commit(table)
            snapshot = self._snapshot_of(table.version(), files)
            compacted += compact_day(self._folder, table, snapshot, day, commit)
        return compacted

    def _fill_day_cache(self, *, may_delete: bool) -> dict[str, int]:
        table, _ = self._written_table.newest()
        files, now = DataFiles.of(self._folder, table), self._clock()
        snapshot = self._snapshot_of(table.version(), files)
        by_day = files.by_day
        # Files are deleted first, because no file can be added on a full disk.
        removed = self._delete_unused_cache_files(files) if may_delete else {}
        return removed | {
            "days counted": fill_minute_counts(self._file_counts, by_day, now),
            "days summed up": fill_hourly_sums(self._hourly_sums, snapshot, by_day, now),
            "days summarised": fill_day_summaries(
                self._folder, self._day_summaries, self._file_counts, by_day, now
            ),
            "days copied": fill_meter_copies(self._meter_copies, files, self._file_counts, now),
        }

    def _delete_unused_cache_files(self, files: DataFiles) -> dict[str, int]:
        caches = self._minute_counts, self._hourly_sums, self._day_summaries, self._meter_copies
        deleted = sum(cache.delete_unused(files.by_day) for cache in caches)
        deleted += delete_unused_statistics(self._folder, files.paths)
        return {"cache files removed": deleted}

    def _append(self, table: DeltaTable, readings: Mapping[Kind, pl.DataFrame]) -> None:
        version, new_files = table.version(), write_days(self._folder, readings)
        try:
            table.create_write_transaction(
                [*new_files],
                mode="append",
                schema=table.schema(),
                partition_by=[PARTITION],
                commit_properties=exclusive_commit(table),
                post_commithook_properties=AFTER_COMMIT,
            )
        except CommitFailedError:
            # After any other error, the commit may exist. Then maintenance deletes the files if they are not in use.
            if not delete_unless_committed(self._folder, version, new_files):
                raise

    def _newest_snapshot(self) -> DeltaSnapshot:
        looked_at = time.monotonic()
        files, commit = self._newest_files.newest()
        if self._newest is None or commit is not self._newest_commit:
            self._newest, self._newest_commit = self._snapshot_of(commit.version, files), commit
        self._looked_at = looked_at
        return self._newest

    def _snapshot_of(self, version: int, files: DataFiles) -> DeltaSnapshot:
        return DeltaSnapshot(
            version,
            files,
            self._file_counts,
            self._hourly_sums,
            self._day_summaries,
            self._meter_copies,
        )


def exclusive_commit(table: DeltaTable) -> CommitProperties:
    """Return properties for a commit. It fails if another writer committed after ``table`` was opened."""
    return CommitProperties(app_transactions=[Transaction(_TRANSACTION_ID, table.version() + 1)])
