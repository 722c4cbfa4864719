"""The repository over one table of Timestream."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from threading import Lock

import polars as pl

from readings import frame
from readings.repositories.base import Extract, ReadingsRepository, RepositoryUnavailableError
from readings.repositories.minute_index import TOTALS_SCHEMA
from readings.repositories.timestream.address import Address
from readings.repositories.timestream.batch_load import BatchLoader
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.hours import HourCounts
from readings.repositories.timestream.queries import Queries
from readings.repositories.timestream.records import RecordWriter
from readings.repositories.timestream.snapshot import TABLE, TimestreamSnapshot
from readings.repositories.timestream.sql import Statements
from readings.repositories.timestream.table import Table, TableState
from readings.repositories.timestream.unload import Unloader
from readings.window import Window

log = logging.getLogger(__name__)

BATCH_LOAD_FROM = 250_000
"""From how many readings on they go by way of the bucket: more than an interval of a large fleet."""
KEEP_EXTRACTS = timedelta(days=7)
"""How long an extract may lie that nobody released."""
_STATE_GOOD_FOR = 10.0
_DAY = timedelta(days=1)
_KEYS = {name: frame.SCHEMA[name] for name in frame.ORDER}


class TimestreamRepository(ReadingsRepository):
    """The repository behind ``timestream://database/table``.

    The service takes readings a hundred at a time, and shows them a moment later: a write that was cut
    off is completed by the same write once more.
    """

    def __init__(self, address: Address) -> None:
        self._has_bucket = address.bucket is not None
        clients = Clients(address)
        self._statements = Statements(address.database, address.table)
        self._queries = Queries(clients)
        self._hours = HourCounts(self._totals)
        self._table = Table(address, clients)
        self._records = RecordWriter(address, clients)
        self._batches = BatchLoader(address, clients)
        self._unloader = Unloader(address, clients, self._queries, self._statements)
        self._writing = Lock()
        self._state: tuple[float, TableState] | None = None
        self._has_columns = False

    def snapshot(self, name: str | None = None) -> TimestreamSnapshot:
        """See :meth:`ReadingsRepository.snapshot`. The service keeps no versions: there is the table alone."""
        if name not in (None, TABLE):
            raise RepositoryUnavailableError(f"Timestream keeps no versions, so none named {name}.")
        oldest = datetime.now(UTC) - self._table_state().magnetic - _DAY
        return TimestreamSnapshot(
            self._statements, self._queries, self._hours, oldest, blank=not self._was_written_to()
        )

    def extract(self, window: Window, key: str) -> Extract:
        """See :meth:`ReadingsRepository.extract`. With a bucket, the service's own nodes make it."""
        self._hours.forget(window.start, window.end)
        snapshot = self.snapshot()
        if not self._has_bucket:
            return snapshot
        counts = snapshot.counts(window)
        return self._unloader.unload(window, counts, key) if len(counts) else snapshot

    def extracted(self, name: str) -> Extract:
        """See :meth:`ReadingsRepository.extracted`."""
        return self.snapshot() if name == TABLE else self._unloader.find(name)

    def extracts(self) -> Iterable[str]:
        """See :meth:`ReadingsRepository.extracts`."""
        return self._unloader.keys() if self._has_bucket else ()

    def release(self, key: str) -> None:
        """See :meth:`ReadingsRepository.release`."""
        if self._has_bucket:
            self._unloader.remove(key)

    def write(self, readings: pl.DataFrame) -> int:
        """See :meth:`ReadingsRepository.write`.

        What is kept is asked first; the rest is written as upserts of a version that grows with time, so
        that a try that was cut off, or two writers at once, leave each reading once. Raises
        :class:`ReadingsRefusedError` for readings that the table does not take.
        """
        readings = frame.in_order(
            readings.select(frame.COLUMNS).unique(frame.ORDER, keep="first", maintain_order=True)
        )
        if readings.is_empty():
            return 0
        with self._writing:
            new = self._not_kept(readings)
            if new.is_empty():
                return 0
            large = self._has_bucket and len(new) >= BATCH_LOAD_FROM
            writer = self._batches if large else self._records
            try:
                writer.write(new, version=time.time_ns() // 1_000_000)
            finally:
                self._hours.forget(new["time"][0], new["time"][-1])
        return len(new)

    def delete_before(self, instant: datetime) -> None:
        """See :meth:`ReadingsRepository.delete_before`.

        The service deletes by age alone: the table's retention is shortened, to whole days, never made
        longer; up to a day more than asked for stays.
        """
        age = datetime.now(UTC) - instant.replace(hour=0, minute=0, second=0, microsecond=0)
        self._table.keep_only(-(-age // _DAY) * _DAY)
        self._hours.forget(datetime.min.replace(tzinfo=UTC), None)

    def upkeep(self) -> dict[str, int]:
        """Removes extracts that nobody released."""
        if not self._has_bucket:
            return {}
        old = datetime.now(UTC) - KEEP_EXTRACTS
        return {"files removed": self._unloader.remove_older_than(old)}

    def _totals(self, start: datetime, end: datetime) -> pl.DataFrame:
        return self._queries.frame(self._statements.totals(start, end), TOTALS_SCHEMA)

    def _was_written_to(self) -> bool:
        """A table has no column before the first record names it, and a query of it would be refused."""
        if not self._has_columns:
            columns = self._queries.run(self._statements.columns())
            self._has_columns = "arrival_time" in {column[0] for column in columns}
        return self._has_columns

    def _table_state(self) -> TableState:
        now = time.monotonic()
        if self._state is None or now - self._state[0] > _STATE_GOOD_FOR:
            self._state = (now, self._table.state())
        return self._state[1]

    def _not_kept(self, readings: pl.DataFrame) -> pl.DataFrame:
        first, last = readings["time"][0], readings["time"][-1]
        self._hours.forget(first, last)
        counts = self.snapshot().counts(Window(first, last))
        if counts.is_empty():
            return readings
        kept = self._queries.frame(
            self._statements.keys(
                max(first, counts["minute"][0]),
                min(last, counts["minute"][-1] + timedelta(minutes=1)),
            ),
            _KEYS,
        )
        return readings.join(kept, on=frame.ORDER, how="anti", maintain_order="left")
