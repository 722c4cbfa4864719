"""WriteRecords: common attributes merged, each record taken or rejected with its reason."""

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
    """A record with its common attributes, its values in Python's types."""

    place: int
    time: datetime
    measure_name: str
    dimensions: dict[str, str]
    measures: dict[str, tuple[str, Any]]
    version: int


class RecordWriter:
    """Writes into the tables of a catalog."""

    def __init__(self, catalog: Catalog, store: Store) -> None:
        self._catalog = catalog
        self._store = store

    def write_records(self, body: Body) -> Body:
        """WriteRecords. What is not rejected is kept, also when something else is."""
        table = self._catalog.table(body["DatabaseName"], body["TableName"])
        common = body.get("CommonAttributes", {})
        records = [_record(place, common, record) for place, record in enumerate(body["Records"])]
        now = datetime.now(UTC)
        rejected: dict[int, Body] = {}
        taken = []
        for record in records:
            reason = table.why_not(record.time.replace(tzinfo=UTC), now) or _clash(table, record)
            if reason:
                rejected[record.place] = {"RecordIndex": record.place, "Reason": reason}
            else:
                taken.append(record)
        for place, version in self._keep(table, taken):
            rejected[place] = {
                "RecordIndex": place,
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
                RejectedRecords=[rejected[place] for place in sorted(rejected)],
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

    def _keep(self, table: Table, records: list[Record]) -> list[tuple[int, int]]:
        """Which records were not taken, by their place, and the version that is there."""
        if not records:
            return []
        dimensions = list({name: None for record in records for name in record.dimensions})
        kinds = {name: kind for record in records for name, (kind, _) in record.measures.items()}
        self._catalog.grow(table, dimensions, kinds)
        # Of two records of one call with the same key the last is the one that counts here: the service does not say.
        last = {
            (record.time, record.measure_name, *sorted(record.dimensions.items())): record
            for record in records
        }
        kept = list(last.values())
        columns = table.columns
        rows = pl.DataFrame(
            {
                "time": [record.time for record in kept],
                "measure_name": [record.measure_name for record in kept],
                VERSION: [record.version for record in kept],
                **{
                    name: [record.dimensions.get(name) for record in kept]
                    for name in columns.dimensions
                },
                **{
                    name: [record.measures.get(name, (None, None))[1] for record in kept]
                    for name in kinds
                },
            },
            schema_overrides={
                "time": pl.Datetime("us"),
                VERSION: pl.Int64,
                **dict.fromkeys(columns.dimensions, pl.String),
                **{name: POLARS_TYPES[kind] for name, kind in kinds.items()},
            },
        )
        refused = self._store.upsert(table.database, table.name, columns, rows)
        return [(kept[row].place, version) for row, version in refused]


def _record(place: int, common: Body, own: Body) -> Record:
    both = {dimension["Name"] for dimension in common.get("Dimensions", ())} & {
        dimension["Name"] for dimension in own.get("Dimensions", ())
    }
    if both:
        raise invalid(f"Dimension {sorted(both)[0]} is in the record and in the common attributes.")
    merged = common | own
    unit = NANOSECONDS[merged.get("TimeUnit", "MILLISECONDS")]
    dimensions = [*common.get("Dimensions", ()), *own.get("Dimensions", ())]
    for name in ("Time", "MeasureName"):
        if not merged.get(name):
            raise invalid(f"A record has no {name}.")
    if not dimensions:
        raise invalid("A record has no dimensions.")
    return Record(
        place,
        moment(merged["Time"], unit),
        merged["MeasureName"],
        {dimension["Name"]: dimension["Value"] for dimension in dimensions},
        _measures(merged, unit),
        merged.get("Version", 1),
    )


def _measures(record: Body, unit: int) -> dict[str, tuple[str, Any]]:
    kind = record.get("MeasureValueType", "DOUBLE")
    if kind == "MULTI":
        given = record.get("MeasureValues")
        if not given:
            raise invalid("A record of type MULTI has no MeasureValues.")
    else:
        if "MeasureValue" not in record:
            raise invalid("A record has no MeasureValue.")
        # The service keeps single values in a column by their type.
        name = f"measure_value::{kind.lower()}"
        given = [{"Name": name, "Value": record["MeasureValue"], "Type": kind}]
    return {
        measure["Name"]: (measure["Type"], _value(measure["Type"], measure["Value"], unit))
        for measure in given
    }


def _value(kind: str, text: str, unit: int) -> Any:
    """A measure's value.

    One of type TIMESTAMP counts in the record's own unit: AWS does not say so, and has milliseconds with
    records in milliseconds in its examples.
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
        raise invalid(f"{text!r} is no value of type {kind}.") from None


def moment(epoch: str, unit: int) -> datetime:
    """A time as written in a unit of so many nanoseconds, cut to microseconds, in UTC without saying so."""
    try:
        return _EPOCH + timedelta(microseconds=int(epoch) * unit // 1000)
    except (ValueError, OverflowError):
        raise invalid(f"{epoch!r} is no time.") from None


def _clash(table: Table, record: Record) -> str | None:
    for name, (kind, _) in record.measures.items():
        there = table.columns.measures.get(name, kind)
        if there != kind:
            return f"The measure {name} is of type {there} in the table, and {kind} in the record."
    return None
