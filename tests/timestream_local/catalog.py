"""Databases and tables: create, describe, update and delete them; their retention."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from tests.timestream_local.protocol import Body, ServiceError, invalid
from tests.timestream_local.store import Columns, Store

_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,256}")
_ARN = "arn:aws:timestream:us-east-1:000000000000:database"
_DEFAULT_PAGE_SIZE = 20
_MAX_FUTURE = timedelta(minutes=15)

Item = TypeVar("Item")


@dataclass
class Table:
    """A table's properties and columns. The first record with a measure sets the measure's type."""

    database: str
    name: str
    memory_hours: int = 6
    magnetic_days: int = 73_000
    magnetic_writes: bool = False
    created: float = field(default_factory=time.time)
    columns: Columns = field(default_factory=Columns)

    def describe(self) -> Body:
        """Return the table in the form of DescribeTable."""
        return {
            "Arn": f"{_ARN}/{self.database}/table/{self.name}",
            "TableName": self.name,
            "DatabaseName": self.database,
            "TableStatus": "ACTIVE",
            "RetentionProperties": {
                "MemoryStoreRetentionPeriodInHours": self.memory_hours,
                "MagneticStoreRetentionPeriodInDays": self.magnetic_days,
            },
            "MagneticStoreWriteProperties": {"EnableMagneticStoreWrites": self.magnetic_writes},
            "CreationTime": self.created,
            "LastUpdatedTime": self.created,
        }

    def change(self, body: Body) -> None:
        """Apply the properties of a CreateTable or UpdateTable call."""
        retention = body.get("RetentionProperties", {})
        self.memory_hours = retention.get("MemoryStoreRetentionPeriodInHours", self.memory_hours)
        self.magnetic_days = retention.get("MagneticStoreRetentionPeriodInDays", self.magnetic_days)
        magnetic = body.get("MagneticStoreWriteProperties", {})
        self.magnetic_writes = magnetic.get("EnableMagneticStoreWrites", self.magnetic_writes)

    def oldest(self, now: datetime) -> datetime:
        """Return the oldest time that the magnetic store keeps."""
        return now - timedelta(days=self.magnetic_days)

    def rejection_reason(self, moment: datetime, now: datetime) -> str | None:
        """Return why a record of that time is rejected, in words like the service's, or None."""
        if moment > now + _MAX_FUTURE:
            return "The record timestamp is outside the time range: it is too far in the future."
        if moment < self.oldest(now):
            return (
                "The record timestamp is outside the time range of the retention duration of the "
                "magnetic store."
            )
        in_memory = moment >= now - timedelta(hours=self.memory_hours)
        if not in_memory and not self.magnetic_writes:
            return (
                "The record timestamp is outside the time range "
                f"[{now - timedelta(hours=self.memory_hours):%Y-%m-%dT%H:%M:%SZ}, "
                f"{now + _MAX_FUTURE:%Y-%m-%dT%H:%M:%SZ}) of the data ingestion window: the retention "
                "duration of the memory store."
            )
        return None


class Catalog:
    """All databases and tables. With a folder, they survive a restart."""

    def __init__(self, store: Store, folder: Path | None) -> None:
        self._store = store
        self._file = folder / "catalog.json" if folder else None
        self._lock = threading.RLock()
        self._databases: dict[str, float] = {}
        self._tables: dict[tuple[str, str], Table] = {}
        if self._file and self._file.exists():
            saved = json.loads(self._file.read_text())
            self._databases = saved["databases"]
            for row in saved["tables"]:
                table = Table(**row | {"columns": Columns(**row["columns"])})
                self._tables[table.database, table.name] = table

    def table(self, database: str, name: str) -> Table:
        """Return a table. Raises :class:`ServiceError` if it does not exist."""
        with self._lock:
            self._require(database)
            if (database, name) not in self._tables:
                raise _not_found(f"The table {name} does not exist.")
            return self._tables[database, name]

    def names(self, database: str | None = None) -> list[str]:
        """Return the names of the databases, or of one database's tables."""
        with self._lock:
            if database is None:
                return sorted(self._databases)
            return sorted(name for owner, name in self._tables if owner == database)

    def add_columns(self, table: Table, dimensions: list[str], measures: dict[str, str]) -> None:
        """Add the columns that the table does not have."""
        with self._lock:
            new_dimensions = [name for name in dimensions if name not in table.columns.dimensions]
            new_measures = {
                n: kind for n, kind in measures.items() if n not in table.columns.measures
            }
            if new_dimensions or new_measures:
                table.columns.dimensions += new_dimensions
                table.columns.measures |= new_measures
                self._store.add_columns(table.database, table.name, table.columns)
                self._save()

    # --- operations -------------------------------------------------------------------
    def create_database(self, body: Body) -> Body:
        """Answer CreateDatabase."""
        name = _name(body["DatabaseName"])
        with self._lock:
            if name in self._databases:
                raise ServiceError("ConflictException", f"The database {name} already exists.")
            self._store.create_database(name)
            self._databases[name] = time.time()
            self._save()
        return {"Database": self._describe(name)}

    def describe_database(self, body: Body) -> Body:
        """Answer DescribeDatabase."""
        self._require(body["DatabaseName"])
        return {"Database": self._describe(body["DatabaseName"])}

    def delete_database(self, body: Body) -> Body:
        """Answer DeleteDatabase."""
        name = body["DatabaseName"]
        with self._lock:
            self._require(name)
            if self.names(name):
                raise invalid("The database cannot be deleted: it is not empty.")
            self._store.drop_database(name)
            del self._databases[name]
            self._save()
        return {}

    def list_databases(self, body: Body) -> Body:
        """Answer ListDatabases."""
        names, token = _paged(self.names(), body)
        return {"Databases": [self._describe(name) for name in names], **token}

    def create_table(self, body: Body) -> Body:
        """Answer CreateTable."""
        database, name = body["DatabaseName"], _name(body["TableName"])
        with self._lock:
            self._require(database)
            if (database, name) in self._tables:
                raise ServiceError("ConflictException", f"The table {name} already exists.")
            table = Table(database, name)
            table.change(body)
            self._store.create(database, name, table.columns)
            self._tables[database, name] = table
            self._save()
        return {"Table": table.describe()}

    def describe_table(self, body: Body) -> Body:
        """Answer DescribeTable."""
        return {"Table": self.table(body["DatabaseName"], body["TableName"]).describe()}

    def update_table(self, body: Body) -> Body:
        """Answer UpdateTable. Rows outside a shorter retention are deleted at once; AWS deletes them later."""
        table = self.table(body["DatabaseName"], body["TableName"])
        with self._lock:
            table.change(body)
            oldest = table.oldest(datetime.now(UTC)).replace(tzinfo=None)
            self._store.delete_before(table.database, table.name, oldest)
            self._save()
        return {"Table": table.describe()}

    def delete_table(self, body: Body) -> Body:
        """Answer DeleteTable."""
        table = self.table(body["DatabaseName"], body["TableName"])
        with self._lock:
            self._store.drop(table.database, table.name)
            del self._tables[table.database, table.name]
            self._save()
        return {}

    def list_tables(self, body: Body) -> Body:
        """Answer ListTables, of one database or of all."""
        database = body.get("DatabaseName")
        if database is not None:
            self._require(database)
        with self._lock:
            keys = sorted(key for key in self._tables if database in (None, key[0]))
            keys, token = _paged(keys, body)
            return {"Tables": [self._tables[key].describe() for key in keys], **token}

    def _describe(self, name: str) -> Body:
        return {
            "Arn": f"{_ARN}/{name}",
            "DatabaseName": name,
            "TableCount": len(self.names(name)),
            "CreationTime": self._databases[name],
            "LastUpdatedTime": self._databases[name],
        }

    def _require(self, database: str) -> None:
        if database not in self._databases:
            raise _not_found(f"The database {database} does not exist.")

    def _save(self) -> None:
        if self._file:
            tables = [asdict(table) for table in self._tables.values()]
            self._file.write_text(json.dumps({"databases": self._databases, "tables": tables}))


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise invalid(f"{name!r} is not a valid name.")
    return name


def _not_found(message: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", message)


def _paged(items: list[Item], body: Body) -> tuple[list[Item], Body]:
    start, size = int(body.get("NextToken", 0)), body.get("MaxResults", _DEFAULT_PAGE_SIZE)
    token = {"NextToken": str(start + size)} if start + size < len(items) else {}
    return items[start : start + size], token
