"""WriteRecords: merge the common attributes, and store or reject each record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from tests.timestream_local.catalog import Catalog, Table
from tests.timestream_local.protocol import Body, ServiceError, invalid
from tests.timestream_local.store import VERSION, Store

NANOSECONDS = {
    "SECONDS": 10**9,
    "MILLISECONDS": 10**6,
    "MICROSECONDS": 10**3,
    "NANOSECONDS": 1,
}
_EPOCH = datetime(1970, 1, 1)
POLARS_TYPES: dict[str, Any] = {
    "DOUBLE": pl.Float64,
    "BIGINT": pl.Int64,
    "BOOLEAN": pl.Boolean,
    "VARCHAR": pl.String,
    "TIMESTAMP": pl.Datetime("us"),
}


@dataclass(frozen=True)
class Record:
    """A record merged with the common attributes, its values as Python types. ``index`` is its place in the call."""

    index: int
    time: datetime
    measure_name: str
    dimensions: dict[str, str]
    measures: dict[str, tuple[str, Any]]
    version: int


class RecordWriter:
    """Writes records to the tables of a catalog."""

    def __init__(self, catalog: Catalog, store: Store) -> None:
        self._catalog = catalog
        self._store = store

    def write_records(self, body: Body) -> Body:
        """Answer WriteRecords. Valid records are stored even if others of the call are rejected."""
        table = self._catalog.table(body["DatabaseName"], body["TableName"])
        common = body.get("CommonAttributes", {})
        records = [_record(index, common, record) for index, record in enumerate(body["Records"])]
        now = datetime.now(UTC)
        rejected: dict[int, Body] = {}
        accepted = []
        for record in records:
            reason = table.rejection_reason(record.time.replace(tzinfo=UTC), now) or _type_conflict(
                table, record
            )
            if reason:
                rejected[record.index] = {"RecordIndex": record.index, "Reason": reason}
            else:
                accepted.append(record)
        for index, version in self._store_records(table, accepted):
            rejected[index] = {
                "RecordIndex": index,
                "Reason": (
                    "The record version is equal to or lower than that of the existing record, and its "
                    "measure values differ. To update, write it with a higher version."
                ),
                "ExistingVersion": version,
            }
        if rejected:
            raise ServiceError(
                "RejectedRecordsException",
                "One or more records have been rejected. See RejectedRecords for details.",
                RejectedRecords=[rejected[index] for index in sorted(rejected)],
            )
        memory = now - timedelta(hours=table.memory_hours)
        recent = sum(record.time.replace(tzinfo=UTC) >= memory for record in records)
        return {
            "RecordsIngested": {
                "Total": len(records),
                "MemoryStore": recent,
                "MagneticStore": len(records) - recent,
            }
        }

    def _store_records(self, table: Table, records: list[Record]) -> list[tuple[int, int]]:
        """Store records. Return the index of each rejected one, and the stored version."""
        if not records:
            return []
        dimensions = list({name: None for record in records for name in record.dimensions})
        types = {name: kind for record in records for name, (kind, _) in record.measures.items()}
        self._catalog.add_columns(table, dimensions, types)
        # Assumption: of two records with the same key in one call, the last one is stored.
        last = {
            (record.time, record.measure_name, *sorted(record.dimensions.items())): record
            for record in records
        }
        unique = list(last.values())
        columns = table.columns
        rows = pl.DataFrame(
            {
                "time": [record.time for record in unique],
                "measure_name": [record.measure_name for record in unique],
                VERSION: [record.version for record in unique],
                **{
                    name: [record.dimensions.get(name) for record in unique]
                    for name in columns.dimensions
                },
                **{
                    name: [record.measures.get(name, (None, None))[1] for record in unique]
                    for name in types
                },
            },
            schema_overrides={
                "time": pl.Datetime("us"),
                VERSION: pl.Int64,
                **dict.fromkeys(columns.dimensions, pl.String),
                **{name: POLARS_TYPES[kind] for name, kind in types.items()},
            },
        )
        rejected = self._store.upsert(table.database, table.name, columns, rows)
        return [(unique[row].index, version) for row, version in rejected]


def _record(index: int, common: Body, own: Body) -> Record:
    duplicates = {dimension["Name"] for dimension in common.get("Dimensions", ())} & {
        dimension["Name"] for dimension in own.get("Dimensions", ())
    }
    if duplicates:
        raise invalid(
            f"Dimension {sorted(duplicates)[0]} is in the record and in the common attributes."
        )
    merged = common | own
    unit = NANOSECONDS[merged.get("TimeUnit", "MILLISECONDS")]
    dimensions = [*common.get("Dimensions", ()), *own.get("Dimensions", ())]
    for name in ("Time", "MeasureName"):
        if not merged.get(name):
            raise invalid(f"A record has no {name}.")
    if not dimensions:
        raise invalid("A record has no dimensions.")
    return Record(
        index,
        moment(merged["Time"], unit),
        merged["MeasureName"],
        {dimension["Name"]: dimension["Value"] for dimension in dimensions},
        _measures(merged, unit),
        merged.get("Version", 1),
    )


def _measures(record: Body, unit: int) -> dict[str, tuple[str, Any]]:
    kind = record.get("MeasureValueType", "DOUBLE")
    if kind == "MULTI":
        values = record.get("MeasureValues")
        if not values:
            raise invalid("A record of type MULTI has no MeasureValues.")
    else:
        if "MeasureValue" not in record:
            raise invalid("A record has no MeasureValue.")
        # The service stores single values in one column per type.
        name = f"measure_value::{kind.lower()}"
        values = [{"Name": name, "Value": record["MeasureValue"], "Type": kind}]
    return {
        measure["Name"]: (measure["Type"], _value(measure["Type"], measure["Value"], unit))
        for measure in values
    }


def _value(kind: str, text: str, unit: int) -> Any:
    """Return the value of a measure.

    Assumption: a value of type TIMESTAMP has the unit of the record. AWS does not document it, but its
    examples have milliseconds in records with milliseconds.
    """
    readers: dict[str, Callable[[str], Any]] = {
        "DOUBLE": float,
        "BIGINT": int,
        "VARCHAR": str,
        "BOOLEAN": lambda word: {"true": True, "false": False}[word.lower()],
        "TIMESTAMP": lambda epoch: moment(epoch, unit),
    }
    try:
        return readers[kind](text)
    except (ValueError, KeyError):
        raise invalid(f"{text!r} is not a value of type {kind}.") from None


def moment(epoch: str, unit: int) -> datetime:
    """Return the time ``epoch`` units after 1970, as a naive UTC datetime in microseconds.

    ``unit`` is in nanoseconds.
    """
    try:
        return _EPOCH + timedelta(microseconds=int(epoch) * unit // 1000)
    except (ValueError, OverflowError):
        raise invalid(f"{epoch!r} is not a time.") from None


def _type_conflict(table: Table, record: Record) -> str | None:
    for name, (kind, _) in record.measures.items():
        stored = table.columns.measures.get(name, kind)
        if stored != kind:
            return f"The measure {name} is of type {stored} in the table, and {kind} in the record."
    return None
