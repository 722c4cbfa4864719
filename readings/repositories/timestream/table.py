"""The database and the table: made, looked at, removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from readings.repositories.timestream.address import Address
from readings.repositories.timestream.clients import Clients, telling_what_failed

MEMORY = timedelta(hours=168)
MAGNETIC = timedelta(days=30)
"""How long the reference's table keeps readings at hand, and at all."""


@dataclass(frozen=True)
class TableState:
    """What the service says of the table."""

    status: str
    memory: timedelta
    magnetic: timedelta
    magnetic_writes: bool


class Table:
    """One table and the database it lies in."""

    def __init__(self, address: Address, clients: Clients) -> None:
        self._address = address
        self._clients = clients

    def state(self) -> TableState:
        """How the table stands. Raises :class:`RepositoryUnavailableError`, also when there is none."""
        with telling_what_failed():
            told = self._clients.control.describe_table(**self._names)["Table"]
        retention = told.get("RetentionProperties", {})
        return TableState(
            told["TableStatus"],
            timedelta(hours=retention.get("MemoryStoreRetentionPeriodInHours", 0)),
            timedelta(days=retention.get("MagneticStoreRetentionPeriodInDays", 0)),
            told.get("MagneticStoreWriteProperties", {}).get("EnableMagneticStoreWrites", False),
        )

    def exists(self) -> bool:
        """Whether there is such a table. Raises :class:`RepositoryUnavailableError`."""
        client = self._clients.control
        with telling_what_failed():
            try:
                client.describe_table(**self._names)
            except client.exceptions.ResourceNotFoundException:
                return False
        return True

    def create_database(self) -> bool:
        """Make the database; False when it is there already."""
        client = self._clients.control
        with telling_what_failed():
            try:
                client.create_database(DatabaseName=self._address.database)
            except client.exceptions.ConflictException:
                return False
        return True

    def create(self, memory: timedelta = MEMORY, magnetic: timedelta = MAGNETIC) -> bool:
        """Make the table, taking late readings too; False when it is there already."""
        client = self._clients.control
        with telling_what_failed():
            try:
                client.create_table(
                    **self._names,
                    RetentionProperties=_retention(memory, magnetic),
                    MagneticStoreWriteProperties={"EnableMagneticStoreWrites": True},
                )
            except client.exceptions.ConflictException:
                return False
        return True

    def keep_only(self, magnetic: timedelta) -> None:
        """Have the service forget what is older; a table that keeps less than that stays as it is."""
        state = self.state()
        if magnetic >= state.magnetic:
            return
        with telling_what_failed():
            self._clients.control.update_table(
                **self._names, RetentionProperties=_retention(min(state.memory, magnetic), magnetic)
            )

    def destroy(self) -> bool:
        """Remove the table and every reading in it; False when there is none."""
        client = self._clients.control
        with telling_what_failed():
            try:
                client.delete_table(**self._names)
            except client.exceptions.ResourceNotFoundException:
                return False
        return True

    def destroy_database(self) -> bool:
        """Remove the database if no other table is in it; says whether it did."""
        client = self._clients.control
        name = {"DatabaseName": self._address.database}
        with telling_what_failed():
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
