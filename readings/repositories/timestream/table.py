"""Create, inspect and delete the database and the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import Clients, translate_aws_errors

MEMORY_RETENTION = timedelta(hours=168)
MAGNETIC_RETENTION = timedelta(days=30)
"""The retention of the reference's table, in the memory store and in the magnetic store."""


@dataclass(frozen=True)
class TableState:
    """The status of the table, its retention in each store, and whether it accepts late readings."""

    status: str
    memory: timedelta
    magnetic: timedelta
    magnetic_writes: bool


class Table:
    """One table and its database. All methods raise :class:`RepositoryUnavailableError` if AWS fails."""

    def __init__(self, address: TimestreamAddress, clients: Clients) -> None:
        self._address = address
        self._clients = clients

    def state(self) -> TableState:
        """Return the state of the table. Raises :class:`RepositoryUnavailableError` also if it does not exist."""
        with translate_aws_errors():
            table = self._clients.control.describe_table(**self._names)["Table"]
        retention = table.get("RetentionProperties", {})
        return TableState(
            table["TableStatus"],
            timedelta(hours=retention.get("MemoryStoreRetentionPeriodInHours", 0)),
            timedelta(days=retention.get("MagneticStoreRetentionPeriodInDays", 0)),
            table.get("MagneticStoreWriteProperties", {}).get("EnableMagneticStoreWrites", False),
        )

    def exists(self) -> bool:
        """Return whether the table exists."""
        client = self._clients.control
        with translate_aws_errors():
            try:
                client.describe_table(**self._names)
            except client.exceptions.ResourceNotFoundException:
                return False
        return True

    def create_database(self) -> bool:
        """Create the database. Return False if it exists already."""
        client = self._clients.control
        with translate_aws_errors():
            try:
                client.create_database(DatabaseName=self._address.database)
            except client.exceptions.ConflictException:
                return False
        return True

    def create(
        self, memory: timedelta = MEMORY_RETENTION, magnetic: timedelta = MAGNETIC_RETENTION
    ) -> bool:
        """Create the table so that it accepts late readings. Return False if it exists already."""
        client = self._clients.control
        with translate_aws_errors():
            try:
                client.create_table(
                    **self._names,
                    RetentionProperties=_retention(memory, magnetic),
                    MagneticStoreWriteProperties={"EnableMagneticStoreWrites": True},
                )
            except client.exceptions.ConflictException:
                return False
        return True

    def shorten_retention(self, magnetic: timedelta) -> None:
        """Let the service delete readings older than ``magnetic``. A shorter retention stays unchanged."""
        state = self.state()
        if magnetic >= state.magnetic:
            return
        with translate_aws_errors():
            self._clients.control.update_table(
                **self._names, RetentionProperties=_retention(min(state.memory, magnetic), magnetic)
            )

    def delete(self) -> bool:
        """Delete the table and all its readings. Return False if it does not exist."""
        client = self._clients.control
        with translate_aws_errors():
            try:
                client.delete_table(**self._names)
            except client.exceptions.ResourceNotFoundException:
                return False
        return True

    def delete_database_if_empty(self) -> bool:
        """Delete the database unless it has tables. Return whether it was deleted."""
        client = self._clients.control
        name = {"DatabaseName": self._address.database}
        with translate_aws_errors():
            try:
                if client.list_tables(**name)["Tables"]:
                    return False
                client.delete_database(**name)
            except client.exceptions.ResourceNotFoundException:
                return False
        return True

    @property
    def _names(self) -> dict[str, str]:
        return {"DatabaseName": self._address.database, "TableName": self._address.table}


def _retention(memory: timedelta, magnetic: timedelta) -> dict[str, Any]:
    return {
        "MemoryStoreRetentionPeriodInHours": max(1, memory // timedelta(hours=1)),
        "MagneticStoreRetentionPeriodInDays": max(1, magnetic // timedelta(days=1)),
    }
