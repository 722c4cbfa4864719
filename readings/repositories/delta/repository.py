"""Readings in a Delta Lake table: many processes write and read it at once, on a laptop's disk.

Every write is one commit that carries the same application transaction, so that of two
writers that looked at the same version only one commits; the other looks again.
That is what keeps (``device_id``, ``time``) unique without a lock.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import polars as pl
from deltalake import (
    CommitProperties,
    DeltaTable,
    Field,
    Schema,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.schema import PrimitiveType

from readings import frame
from readings.repositories.base import ReadingsRepository, RepositoryUnavailableError
from readings.repositories.delta.commit_log import Commit
from readings.repositories.delta.compaction import ROW_GROUP, compact_day, crowded_days
from readings.repositories.delta.data_files import PARTITION, DataFiles, collected
from readings.repositories.delta.day_cache import COUNTS, HOURS, KeptByDay
from readings.repositories.delta.minute_counts import MinuteCounts
from readings.repositories.delta.snapshot import DeltaSnapshot

log = logging.getLogger(__name__)

_WRITER = "readings-writer"
_ATTEMPTS = 20
_PROPERTIES = WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP)
_TYPES = {
    frame.INSTANT: PrimitiveType("timestamp"),
    pl.String(): PrimitiveType("string"),
    pl.Int64(): PrimitiveType("long"),
    pl.Float64(): PrimitiveType("double"),
}
_TABLE = Schema(
    [Field(name, _TYPES[kind], nullable=False) for name, kind in frame.SCHEMA.items()]
    + [Field(PARTITION, PrimitiveType("date"), nullable=False)]
)

KEEP_VERSIONS_HOURS = 7 * 24
"""How long an export may go on reading the version it began with."""


@dataclass(frozen=True)
class _Read:
    """The newest version that was read: the table, the commit it ends with, what it shows."""

    table: DeltaTable
    commit: Commit
    snapshot: DeltaSnapshot


class DeltaRepository(ReadingsRepository):
    """The repository behind ``delta:///folder``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._kept = {kind: KeptByDay(path, kind) for kind in (COUNTS, HOURS)}
        self._counts = MinuteCounts(self._kept[COUNTS])
        self._lock = Lock()
        self._newest: _Read | None = None

    def snapshot(self, name: str | None = None) -> DeltaSnapshot:
        """See :meth:`ReadingsRepository.snapshot`."""
        with self._lock:
            newest = self._read_to_the_end().snapshot
        if name is None or name == newest.name:
            return newest
        try:
            return self._snapshot_of(DeltaTable(self._path, version=int(name)))
        except DeltaError as error:
            raise RepositoryUnavailableError(f"Version {name} is gone: {error}") from error

    def write(self, readings: pl.DataFrame) -> int:
        """See :meth:`ReadingsRepository.write`."""
        readings = frame.in_order(
            readings.select(frame.COLUMNS).unique(frame.ORDER, keep="first", maintain_order=True)
        )
        for _ in range(_ATTEMPTS):
            table = self._open()
            new = _not_kept(table, readings)
            if new.is_empty():
                return 0
            try:
                self._append(table, new)
            except CommitFailedError as error:
                log.info("another writer was first, looking again", extra={"error": str(error)})
                continue
            return len(new)
        raise RepositoryUnavailableError("Other writers kept coming first.")

    def delete_before(self, instant: datetime) -> None:
        """See :meth:`ReadingsRepository.delete_before`."""
        day = instant.astimezone(UTC).date().isoformat()
        self._open().delete(f"{PARTITION} < '{day}'")

    def upkeep(self) -> dict[str, int]:
        """Makes few files of a day's many, sums up the hours of settled days, removes files that no version of the last week has."""
        compacted = 0
        for day in crowded_days(self._open(), PARTITION):
            table = self._open()
            snapshot = self._snapshot_of(table)
            compacted += compact_day(table, snapshot, day, PARTITION, as_the_one_writer(table))
        removed = self._open().vacuum(retention_hours=KEEP_VERSIONS_HOURS, dry_run=False, full=True)
        return {
            "days compacted": compacted,
            "files removed": len(removed),
            **self._work_out_settled_days(),
        }

    def _work_out_settled_days(self) -> dict[str, int]:
        table = self._open()
        snapshot, now = self._snapshot_of(table), datetime.now(UTC)
        by_day = DataFiles(table).by_day
        return {
            "days counted": snapshot.keep_counts(now),
            "days summed up": snapshot.keep_hours(now),
            "files out of use": sum(kept.forget_all_but(by_day) for kept in self._kept.values()),
        }

    def _append(self, table: DeltaTable, readings: pl.DataFrame) -> None:
        write_deltalake(
            table,
            readings.with_columns(pl.col("time").dt.date().alias(PARTITION)),
            mode="append",
            writer_properties=_PROPERTIES,
            commit_properties=as_the_one_writer(table),
        )

    def _open(self) -> DeltaTable:
        try:
            return DeltaTable(self._path)
        except TableNotFoundError:
            return self._made()
        except DeltaError as error:
            raise RepositoryUnavailableError(f"The table cannot be opened: {error}") from error

    def _made(self) -> DeltaTable:
        try:
            Path(self._path).mkdir(exist_ok=True)
            return DeltaTable.create(self._path, _TABLE, mode="ignore", partition_by=[PARTITION])
        except CommitFailedError:
            # Another process made it in the same instant.
            return DeltaTable(self._path)
        except (OSError, DeltaError) as error:
            raise RepositoryUnavailableError(f"The table cannot be made: {error}") from error

    def _read_to_the_end(self) -> _Read:
        newest = self._newest
        if newest is None or not newest.commit.is_kept():
            table = self._open()
        elif newest.commit.is_last():
            return newest
        else:
            table = self._continued(newest.table)
        commit = Commit.of(Path(self._path), table.version())
        self._newest = _Read(table, commit, self._snapshot_of(table))
        return self._newest

    def _continued(self, table: DeltaTable) -> DeltaTable:
        try:
            table.update_incremental()
        except DeltaError as error:
            self._newest = None
            raise RepositoryUnavailableError(f"The table cannot be read: {error}") from error
        return table

    def _snapshot_of(self, table: DeltaTable) -> DeltaSnapshot:
        return DeltaSnapshot(table.version(), DataFiles(table), self._counts, self._kept[HOURS])


def as_the_one_writer(table: DeltaTable) -> CommitProperties:
    """Lets a commit through only if nothing was committed this way since ``table`` was opened."""
    return CommitProperties(app_transactions=[Transaction(_WRITER, table.version() + 1)])


def _not_kept(table: DeltaTable, readings: pl.DataFrame) -> pl.DataFrame:
    if readings.is_empty():
        return readings
    first, last = readings["time"][0], readings["time"][-1]
    files = DataFiles(table).spanning(first, last)
    if not files:
        return readings
    kept = (
        pl.scan_parquet(list(files))
        .filter(pl.col("time").is_between(first, last))
        .select(frame.ORDER)
    )
    return readings.join(collected(kept), on=frame.ORDER, how="anti", maintain_order="left")
