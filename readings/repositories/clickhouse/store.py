"""The table of a ClickHouse repository: create, inspect and delete it."""

from __future__ import annotations

from readings.repositories.clickhouse.address import ClickHouseAddress
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.table import Table
from readings.repositories.same_server import is_same_host
from readings.repositories.store import Store


class ClickHouseStore(Store):
    """The store of ``READINGS_URL=clickhouse://user:password@host/database``. The database must exist."""

    def __init__(self, address: ClickHouseAddress) -> None:
        self._address = address
        self._table = Table(address, Client(address))
        self.name = self._table.name
        self.identity = f"clickhouse {address.server} {self.name}"

    def is_same_place(self, other: Store) -> bool:
        """See :meth:`Store.is_same_place`. The port for HTTPS and the port for HTTP lead to the same server."""
        if not isinstance(other, ClickHouseStore):
            return False
        ours, others = self._address, other._address
        return (
            ours.database == others.database
            and (ours.port == others.port or ours.secure != others.secure)
            and is_same_host(ours.host, others.host)
        )

    def exists(self) -> bool:
        """See :meth:`Store.exists`."""
        return self._table.exists()

    def create(self) -> list[str]:
        """See :meth:`Store.create`. Raises an error also if a table of another shape exists."""
        created = self._table.create()
        lines = [f"table {self.name}: {'created' if created else 'exists already'}"]
        added = self._table.add_columns()
        return [*lines, f"columns {', '.join(added)}: added"] if added else lines

    def size(self) -> int | None:
        """See :meth:`Store.size`. Readings that were inserted twice count twice until the server has merged them."""
        return self._table.size()

    def destroy(self) -> list[str]:
        """See :meth:`Store.destroy`. The database stays."""
        deleted = self._table.delete()
        return [f"table {self.name}: {'deleted' if deleted else 'does not exist'}"]
