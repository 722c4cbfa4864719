"""The repository in one Timestream table."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Lock

import polars as pl

from readings import frame
from readings.instants import FIRST_INSTANT
from readings.repositories.base import (
    Extract,
    ReadingsRepository,
    Snapshot,
)
from readings.repositories.minute_index import MINUTE
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.batch_load import BatchLoader
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.columns import TableColumns
from readings.repositories.timestream.hour_counts import COUNTED_SCHEMA, HourCounts
from readings.repositories.timestream.minute_reader import TimestreamMinuteReader
from readings.repositories.timestream.queries import Queries
from readings.repositories.timestream.records import RecordWriter
from readings.repositories.timestream.snapshot import CURRENT, EmptySnapshot, TimestreamSnapshot
from readings.repositories.timestream.sql import Statements, describe
from readings.repositories.timestream.table import Table, TableState
from readings.repositories.timestream.unload import Unloader
from readings.repository_errors import RepositoryUnavailableError
from readings.window import DAY, Window

log = logging.getLogger(__name__)

BATCH_LOAD_FROM = 250_000
"""A write of this many readings or more goes through the bucket: more than an interval of a large fleet."""
KEEP_EXTRACTS = timedelta(days=7)
"""Maintenance deletes an extract that is older than this and was not deleted by its owner."""
_TABLE_STATE_SECONDS = 10.0
"""The state of the table is cached for this long."""
_MAX_METERS_COMPARED = 200
"""Up to this number of meters, a write queries the stored readings of these meters only."""
_STORED_ARRIVAL = "stored_arrival"


class TimestreamRepository(ReadingsRepository):
    """The repository of ``READINGS_URL=timestream://database/table``.

    The service accepts 100 records per call, and new readings become visible with a delay. So a write is not
    atomic: repeat the same write to complete one that was interrupted.
    """

    def __init__(self, address: TimestreamAddress) -> None:
        self._has_bucket = address.bucket is not None
        self._table_id = address.identity
        clients = Clients(address)
        self._queries = Queries(clients)
        description = describe(address.database, address.table)
        self._columns = TableColumns(
            lambda: (str(row[0]) for row in self._queries.rows(description))
        )
        self._statements = Statements(address.database, address.table, self._columns)
        self._hours = HourCounts(self._count_minutes)
        self._table = Table(address, clients)
        self._records = RecordWriter(address, clients)
        self._batch_loader = BatchLoader(address, clients)
        self._unloader = Unloader(address, clients, self._queries, self._statements)
        self._write_lock = Lock()
        self._state: tuple[float, TableState] | None = None

    def snapshot(self, name: str | None = None) -> Snapshot:
        """See :meth:`ReadingsRepository.snapshot`. There is only the current state."""
        if name not in (None, CURRENT):
            raise RepositoryUnavailableError(
                f"Timestream keeps no versions, so snapshot {name} does not exist."
            )
        # Raises an error that an operator understands if the table does not exist.
        oldest = datetime.now(UTC) - self._table_state().magnetic - DAY
        if not self._columns.was_written_to():
            return EmptySnapshot()
        reader = TimestreamMinuteReader(self._statements, self._queries, self._hours, oldest)
        return TimestreamSnapshot(self._statements, self._queries, self._hours, reader)

    def table_id(self) -> str:
        """See :meth:`ReadingsRepository.table_id`. A table that is deleted and created again has the same id."""
        return self._table_id

    def create_extract(self, window: Window, key: str) -> Extract:
        """See :meth:`ReadingsRepository.create_extract`. With a bucket, the service itself writes the extract."""
        self._hours.forget(window.start, window.end)
        snapshot = self.snapshot()
        if not self._has_bucket:
            return snapshot
        counts = snapshot.minute_counts(window)
        return self._unloader.unload(window, counts, key) if len(counts) else snapshot

    def open_extract(self, name: str) -> Extract:
        """See :meth:`ReadingsRepository.open_extract`."""
        return self.snapshot() if name == CURRENT else self._unloader.open(name)

    def extract_owners(self) -> Iterable[str]:
        """See :meth:`ReadingsRepository.extract_owners`."""
        return self._unloader.owners() if self._has_bucket else ()

    def delete_extracts(self, owner: str) -> None:
        """See :meth:`ReadingsRepository.delete_extracts`."""
        if self._has_bucket:
            self._unloader.delete(owner)

    def write_in_order(self, readings: pl.DataFrame, *, corrections: bool = False) -> int:
        """See :meth:`ReadingsRepository.write_in_order`. The write is not atomic.

        First the stored readings are queried. The others are written as upserts, whose version is the arrival time. So
        after an interrupted write, or two writers at once, each reading is stored once. Of the versions of a reading,
        the service keeps only the one that arrived last. Raises :class:`ReadingsRefusedError` for readings that the
        table does not accept.
        """
        if readings.is_empty():
            return 0
        if corrections:
            readings = frame.valid_versions(readings)
        with self._write_lock:
            first, newer = self._compare_with_stored(readings, corrections=corrections)
            if first.is_empty() and newer.is_empty():
                return 0
            try:
                self._write_first(first)
                self._records.write(newer)
            finally:
                self._columns.forget()
                self._hours.forget(readings["time"][0], readings["time"][-1])
        return len(first) + len(newer)

    def _write_first(self, readings: pl.DataFrame) -> None:
        """Write readings that are not stored. Many with values in the same columns are written by a batch load task."""
        if not self._has_bucket or len(readings) < BATCH_LOAD_FROM:
            self._records.write(readings)
            return
        rest = []
        for part in _with_equal_nulls(readings):
            if len(part) >= BATCH_LOAD_FROM:
                # In milliseconds, it is less than any arrival time in microseconds. So corrections replace the record.
                version = time.time_ns() // 1_000_000
                columns = [name for name in part.columns if not part[name].has_nulls()]
                self._batch_loader.write(part.select(columns), version=version)
            else:
                rest.append(part)
        if rest:
            self._records.write(frame.in_order(pl.concat(rest)))

    def delete_before(self, instant: datetime) -> None:
        """See :meth:`ReadingsRepository.delete_before`.

        The service deletes by age only. So the table's retention is shortened to a whole number of days, and
        never made longer. Up to one day more than requested is kept.
        """
        age = datetime.now(UTC) - instant.replace(hour=0, minute=0, second=0, microsecond=0)
        self._table.shorten_retention(-(-age // DAY) * DAY)
        self._hours.forget(FIRST_INSTANT, None)

    def maintain(self, *, may_delete: bool = True) -> dict[str, int]:
        """Delete extracts that their owners did not delete within :data:`KEEP_EXTRACTS`, if ``may_delete``."""
        if not self._has_bucket or not may_delete:
            return {}
        limit = datetime.now(UTC) - KEEP_EXTRACTS
        return {"files removed": self._unloader.delete_older_than(limit)}

    def _count_minutes(self, start: datetime, end: datetime) -> pl.DataFrame:
        return self._queries.frame(self._statements.minute_index(start, end), COUNTED_SCHEMA)

    def _table_state(self) -> TableState:
        now = time.monotonic()
        if self._state is None or now - self._state[0] > _TABLE_STATE_SECONDS:
            self._state = (now, self._table.state())
        return self._state[1]

    def _compare_with_stored(
        self, readings: pl.DataFrame, *, corrections: bool
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the readings (in order, not empty) that are not in the table yet, and those that arrived later.

        Without ``corrections``, the second frame is empty.
        """
        first, last = readings["time"][0], readings["time"][-1]
        self._hours.forget(first, last)
        meters = readings["device_id"].unique().sort()
        # A file of one meter may have a year. The keys of all meters in a year would not fit into memory.
        window = Window(first, last, tuple(meters) if len(meters) <= _MAX_METERS_COMPARED else ())
        counts = self.snapshot().minute_counts(window)
        if counts.is_empty():
            return readings, readings.clear()
        columns = frame.VERSION if corrections else frame.ORDER
        stored = self._queries.frame(
            self._statements.keys(
                columns,
                replace(
                    window,
                    start=max(first, counts["minute"][0]),
                    end=min(last, counts["minute"][-1] + MINUTE),
                ),
            ),
            {name: frame.SCHEMA[name] for name in columns},
        )
        new = readings.join(stored, on=frame.ORDER, how="anti", maintain_order="left")
        if not corrections:
            return new, readings.clear()
        compared = readings.join(
            stored.rename({"arrival_time": _STORED_ARRIVAL}), on=frame.ORDER, maintain_order="left"
        )
        later = compared.filter(pl.col("arrival_time") > pl.col(_STORED_ARRIVAL))
        return new, later.drop(_STORED_ARRIVAL)


def _with_equal_nulls(readings: pl.DataFrame) -> list[pl.DataFrame]:
    """Divide the readings into frames in which each column is null in all rows, or in none."""
    partly = [name for name in readings.columns if 0 < readings[name].null_count() < len(readings)]
    if not partly:
        return [readings]
    flags = [pl.col(name).is_null().alias(f"{name} is null") for name in partly]
    return readings.with_columns(flags).partition_by(
        [f"{name} is null" for name in partly], maintain_order=True, include_key=False
    )
