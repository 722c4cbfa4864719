"""The repository in one table of a ClickHouse server. Any number of processes on any hosts can write and read it.

A write inserts the readings that are not stored yet. Two writers that write the same readings at the same time may both
insert them. Then readers see the one that was written first, and a merge deletes the other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence, Set
from datetime import UTC, date, datetime, timedelta
from threading import Lock

import polars as pl

from readings import frame
from readings.instants import from_micros, to_micros
from readings.repositories.base import (
    Extract,
    ReadingsRepository,
    Snapshot,
)
from readings.repositories.clickhouse.address import ClickHouseAddress
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.counts import DayResults, TableState
from readings.repositories.clickhouse.minute_reader import (
    COUNTED_SCHEMA,
    ClickHouseMinuteReader,
    DayMinutes,
)
from readings.repositories.clickhouse.rows import PageCache
from readings.repositories.clickhouse.server_sql import ServerStatements
from readings.repositories.clickhouse.snapshot import (
    CURRENT,
    DAY_SUMMARY_SCHEMA,
    ClickHouseExtract,
    ClickHouseSnapshot,
)
from readings.repositories.clickhouse.sql import STORED_SCHEMA, Statements
from readings.repositories.clickhouse.table import Layout, Table
from readings.repository_errors import RepositoryUnavailableError
from readings.window import Window, window_of_day

_PARTITIONS_SCHEMA = {
    "day": pl.String(),
    "newest": pl.Int64(),
    "blocks": pl.Int64(),
    "changes": pl.Int64(),
    "table_id": pl.String(),
}
_CORRECTION = "correction"
"""The column with the arrival time of a correction. It is 1970 in the version of a reading that was written first."""
_EXTRACT = "written-until-"
"""The name of an extract is this text, followed by an instant in microseconds since 1970."""
_WAIT_FOR_INSERTS = timedelta(seconds=60)
_PAUSE_SECONDS = 0.05
_RECENT_SECONDS = 1.0
_CLOCK_SECONDS = 1.0
"""How much the clocks of the servers of a cluster may differ."""


class ClickHouseRepository(ReadingsRepository):
    """The repository of ``READINGS_URL=clickhouse://user:password@host/database``.

    The readings of a write become visible day by day: the readings of one day all at once. An interrupted write is
    completed by writing the same readings again.
    """

    def __init__(self, address: ClickHouseAddress) -> None:
        self._client = Client(address)
        self._table = Table(address, self._client)
        self._database = address.database
        self._statements = Statements(address.database)
        self._server = ServerStatements(address.database)
        self._minutes = DayResults(self._count_minutes)
        self._summaries = DayResults(self._summarise)
        self._pages = PageCache()
        self._write_lock = Lock()
        self._layout: Layout | None = None
        self._recent: tuple[float, ClickHouseSnapshot] | None = None
        self._known_days: Set[date] = frozenset()

    def check(self) -> None:
        """See :meth:`ReadingsRepository.check`. Creates a missing table, and refuses one of another shape."""
        self._table.create()
        self._check_once()

    def table_id(self) -> str:
        """See :meth:`ReadingsRepository.table_id`. The server's UUID of the table."""
        return f"clickhouse {self._table.uuid()}"

    def snapshot(self, name: str | None = None) -> ClickHouseSnapshot:
        """See :meth:`ReadingsRepository.snapshot`. There is only the current state."""
        if name not in (None, CURRENT):
            raise RepositoryUnavailableError(
                f"ClickHouse keeps no versions, so snapshot {name} does not exist."
            )
        self._check_once()
        state = self._state()
        self._forget_deleted_days(state)
        reader = ClickHouseMinuteReader(
            self._statements, self._client, state, self._minutes, self._pages
        )
        return ClickHouseSnapshot(self._statements, self._client, state, reader, self._summaries)

    def recent_snapshot(self) -> ClickHouseSnapshot:
        """See :meth:`ReadingsRepository.recent_snapshot`."""
        recent = self._recent
        if recent is not None and time.monotonic() < recent[0]:
            return recent[1]
        valid_until = time.monotonic() + _RECENT_SECONDS
        snapshot = self.snapshot()
        self._recent = valid_until, snapshot
        return snapshot

    def newer_snapshot(self, recent: Snapshot) -> ClickHouseSnapshot | None:
        """See :meth:`ReadingsRepository.newer_snapshot`."""
        newest = self.snapshot()
        return None if newest.shows_same_days(recent) else newest

    def create_extract(self, window: Window, key: str) -> Extract:
        """See :meth:`ReadingsRepository.create_extract`. It holds what was written until now."""
        self._check_once()
        until = self._now()
        self._wait_for_inserts(until)
        return self._extract(until)

    def open_extract(self, name: str) -> Extract:
        """See :meth:`ReadingsRepository.open_extract`. Extracts take up no storage and always exist."""
        micros = name.removeprefix(_EXTRACT)
        if name == micros or not micros.isdecimal():
            raise RepositoryUnavailableError(f"{name} is not an extract of ClickHouse.")
        self._check_once()
        return self._extract(from_micros(int(micros)))

    def write_in_order(self, readings: pl.DataFrame, *, corrections: bool = False) -> int:
        """See :meth:`ReadingsRepository.write_in_order`. The write is atomic for each day."""
        if readings.is_empty():
            return 0
        self._check_once()
        with self._write_lock:
            try:
                return self._write_versions(readings) if corrections else self._write_new(readings)
            finally:
                self._recent = None

    def _write_new(self, readings: pl.DataFrame) -> int:
        stored = self._stored(readings, frame.ORDER)
        new = readings.join(stored, on=frame.ORDER, how="anti", maintain_order="left")
        self._insert(new)
        return len(new)

    def _write_versions(self, readings: pl.DataFrame) -> int:
        """Insert the versions that are not stored, and return how many."""
        began = self._now()
        self._wait_for_inserts(began)
        stored = self._stored(readings, frame.VERSION)
        new = readings.join(stored, on=frame.VERSION, how="anti", maintain_order="left")
        first = new.filter(pl.struct(frame.ORDER).is_first_distinct()).join(
            stored, on=frame.ORDER, how="anti", maintain_order="left"
        )
        later = new.join(first, on=frame.VERSION, how="anti", maintain_order="left")
        correction = pl.col("arrival_time").alias(_CORRECTION)
        epoch = frame.literal(from_micros(0)).alias(_CORRECTION)
        self._insert(pl.concat([first.with_columns(epoch), later.with_columns(correction)]))
        if len(first):
            # Another writer may have inserted another first version at the same time. Only one of the two is
            # kept, so the other one must be inserted again, as a correction.
            self._wait_for_inserts(self._now())
            if self._count_written(new, began) > len(new):
                stored = self._stored(first, frame.VERSION)
                lost = first.join(stored, on=frame.VERSION, how="anti", maintain_order="left")
                self._insert(lost.with_columns(correction))
        return len(new)

    def _count_written(self, readings: pl.DataFrame, since: datetime) -> int:
        """Return how many rows between the first and the last of these readings were inserted since an instant."""
        since -= timedelta(seconds=_CLOCK_SECONDS if self._check_once().cluster else 0)
        query = self._statements.count_written(readings["time"][0], readings["time"][-1], since)
        return int(self._client.frame(query, {"count": pl.Int64()}).item())

    def _insert(self, rows: pl.DataFrame) -> None:
        """Insert rows. If the table is of an earlier release and cannot hold them, it is changed first."""
        if rows.is_empty():
            return
        layout = self._check_once()
        stored = [
            name
            for name in [*STORED_SCHEMA, _CORRECTION]
            if name in rows.columns
            and not (name in frame.FURTHER_SCHEMA and rows[name].null_count() == len(rows))
        ]
        columns = layout.columns_to_change(rows.select(stored))
        if columns:
            self._table.change(layout, columns)
            self._layout = None
        self._client.insert(self._statements.table, rows.select(stored))

    def delete_before(self, instant: datetime) -> None:
        """See :meth:`ReadingsRepository.delete_before`."""
        self._check_once()
        first = instant.astimezone(UTC).date()
        for day in self._state().days:
            if day < first:
                self._client.command(self._server.drop_partition(f"{day:%Y%m%d}"))
        self._recent = None

    def maintain(self, *, may_delete: bool = True) -> dict[str, int]:
        """Do nothing: the server merges parts by itself."""
        return {}

    def _check_once(self) -> Layout:
        """Return the layout of the table. Raises an error if the table is missing or has another shape.

        It is not checked again, unless columns are missing: another process may add them.
        """
        layout = self._layout
        if layout is None or layout.missing:
            layout = self._layout = self._table.check()
            self._statements = Statements(self._database, layout.missing)
            self._server = ServerStatements(self._database, layout.cluster)
        return layout

    def _state(self) -> TableState:
        days = self._client.frame(self._server.partitions(), _PARTITIONS_SCHEMA)
        if days.is_empty():
            # The system tables have no rows for a table that was deleted, and no error either.
            self._table.check()
        return TableState.of(days.iter_rows())

    def _forget_deleted_days(self, state: TableState) -> None:
        """Clear the caches if a day was deleted.

        After a restart, a server without parts counts blocks from 1 again. So other readings of the same day can have
        the state that the deleted ones had.
        """
        if self._known_days - state.days.keys():
            for cache in (self._minutes, self._summaries, self._pages):
                cache.clear()
        self._known_days = state.days.keys()

    def _now(self) -> datetime:
        now: datetime = self._client.frame(self._server.now(), {"now": frame.INSTANT}).item()
        return now

    def _extract(self, until: datetime) -> ClickHouseExtract:
        return ClickHouseExtract(
            f"{_EXTRACT}{to_micros(until)}", self._statements, self._client, until
        )

    def _wait_for_inserts(self, started_until: datetime) -> None:
        """Wait until the inserts that started up to an instant of the server's clock have ended."""
        if self._check_once().cluster is not None:
            # Afterwards, the clock of every server is later than `started_until`.
            time.sleep(_CLOCK_SECONDS)
            started_until = self._now()
        deadline = time.monotonic() + _WAIT_FOR_INSERTS.total_seconds()
        query = self._server.running_inserts(started_until)
        while self._client.frame(query, {"running": pl.Int64()}).item():
            if time.monotonic() > deadline:
                raise RepositoryUnavailableError(
                    f"An insert has been running for more than {_WAIT_FOR_INSERTS.seconds} seconds."
                )
            time.sleep(_PAUSE_SECONDS)

    def _stored(self, readings: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
        """Return these columns, ``frame.ORDER`` or ``frame.VERSION``, of the stored versions of the readings.

        ``readings`` is sorted by time and not empty.
        """
        schema = {name: frame.SCHEMA[name] for name in columns}
        has_readings = self._statements.has_readings(readings["time"][0], readings["time"][-1])
        if self._client.frame(has_readings, {"found": pl.Int64()}).is_empty():
            return pl.DataFrame(schema=schema)
        keys = readings.select(frame.ORDER)
        query = self._statements.stored(keys, versions=len(columns) > len(frame.ORDER))
        return self._client.frame(query, schema)

    def _count_minutes(self, day: date) -> DayMinutes:
        query = self._statements.minute_index(window_of_day(day))
        return DayMinutes(self._client.frame(query, COUNTED_SCHEMA))

    def _summarise(self, day: date) -> pl.DataFrame:
        query = self._statements.day_summary(window_of_day(day))
        return self._client.frame(query, DAY_SUMMARY_SCHEMA)
