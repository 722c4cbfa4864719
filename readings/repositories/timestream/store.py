"""The database and table of a Timestream repository: create, inspect and delete them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from headend.config.program import PROGRAM
from readings.instants import format_instant
from readings.repositories.store import Store
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.hour_counts import HOUR
from readings.repositories.timestream.minute_reader import MAX_FUTURE
from readings.repositories.timestream.table import MAGNETIC_RETENTION, MEMORY_RETENTION, Table
from readings.window import DAY


class TimestreamStore(Store):
    """The store of ``READINGS_URL=timestream://database/table``."""

    def __init__(self, address: TimestreamAddress) -> None:
        self._address = address
        self._table = Table(address, Clients(address))
        self.name = f"{address.database}.{address.table}"
        self.identity = address.identity

    def exists(self) -> bool:
        """See :meth:`Store.exists`."""
        return self._table.exists()

    def create(
        self, memory: timedelta = MEMORY_RETENTION, magnetic: timedelta = MAGNETIC_RETENTION
    ) -> list[str]:
        """See :meth:`Store.create`. The retention applies only to a new table."""
        database = _created_or_exists(created=self._table.create_database())
        table = _created_or_exists(created=self._table.create(memory, magnetic))
        return [
            f"database {self._address.database}: {database}",
            f"table {self._address.table}: {table}",
        ]

    def describe(self) -> list[str]:
        """See :meth:`Store.describe`. Returns the status of the table and its retention."""
        state = self._table.state()
        writes = "on" if state.magnetic_writes else "off"
        lines = [
            f"{self.name}: {state.status}; readings stay {state.memory // HOUR} h in the memory store and are "
            f"deleted after {state.magnetic // DAY} days; magnetic store writes (late readings) are {writes}"
        ]
        if not state.magnetic_writes:
            lines.append("Readings older than the retention of the memory store are refused.")
        return lines

    def refusal(self, first: datetime, last: datetime) -> str | None:
        """See :meth:`Store.refusal`."""
        state, now = self._table.state(), datetime.now(UTC)
        oldest = now - (state.magnetic if state.magnetic_writes else state.memory)
        if first < oldest:
            return (
                f"{self.name} refuses readings before {format_instant(oldest)}, and the first one is from "
                f"{format_instant(first)}. `{PROGRAM} timestream create --magnetic-days …` creates a table that "
                "keeps readings longer."
            )
        if last > now + MAX_FUTURE:
            return f"Timestream refuses readings in the future, and the last one is from {format_instant(last)}."
        return None

    def destroy(self) -> list[str]:
        """See :meth:`Store.destroy`. The database is deleted too if it has no other table."""
        deleted = self._table.delete()
        lines = [f"table {self.name}: {'deleted' if deleted else 'does not exist'}"]
        if self._table.delete_database_if_empty():
            lines.append(f"database {self._address.database}: deleted, it had no other table")
        return lines


def _created_or_exists(*, created: bool) -> str:
    return "created" if created else "exists already"
