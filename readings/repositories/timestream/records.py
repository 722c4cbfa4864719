"""Readings as records of Timestream, written a hundred at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from readings import frame
from readings.repositories.base import ReadingsRefusedError
from readings.repositories.timestream.address import Address
from readings.repositories.timestream.clients import Clients, telling_what_failed

RECORDS_A_CALL = 100
"""The most that the service's model allows."""
CALLS_AT_ONCE = 16
MEASURES = {
    "arrival_time": "TIMESTAMP",
    "load": "BIGINT",
    **dict.fromkeys(("crrnt", "pf", "kva", "kw", "vltg"), "DOUBLE"),
}
"""A record's measures and their types, as the reference's generator writes them; its dimension is the device id."""


@dataclass(frozen=True)
class _Refusal:
    reason: str
    device_id: str
    time: datetime


class RecordWriter:
    """Writes readings into one table."""

    def __init__(self, address: Address, clients: Clients) -> None:
        self._address = address
        self._clients = clients

    def write(self, readings: pl.DataFrame, *, version: int) -> None:
        """Write all of the readings (a readings frame).

        A reading that is there with a lower version is replaced; with a higher one it stays, as another
        writer was there since. Raises :class:`ReadingsRefusedError` for readings that the table does
        not take, after writing all others, and :class:`RepositoryUnavailableError`.
        """
        unit = "MILLISECONDS" if _are_whole_milliseconds(readings) else "MICROSECONDS"
        with ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="records") as threads:
            calls = threads.map(lambda part: self._call(part, unit, version), _hundreds(readings))
            refusals = [refusal for refused in calls for refusal in refused]
        if refusals:
            raise ReadingsRefusedError(_sentence(refusals, len(readings)))

    def _call(self, readings: pl.DataFrame, unit: str, version: int) -> list[_Refusal]:
        times = readings["time"]
        epochs = _epochs(times, unit)
        common: dict[str, Any] = {
            "MeasureName": frame.MEASURE_NAME,
            "MeasureValueType": "MULTI",
            "TimeUnit": unit,
            "Version": version,
        }
        records = _records(readings, unit)
        if len(set(epochs)) == 1:
            common["Time"] = epochs[0]
        else:
            records = [
                record | {"Time": epoch} for record, epoch in zip(records, epochs, strict=True)
            ]
        client = self._clients.write
        with telling_what_failed():
            try:
                client.write_records(
                    DatabaseName=self._address.database,
                    TableName=self._address.table,
                    CommonAttributes=common,
                    Records=records,
                )
            except client.exceptions.RejectedRecordsException as error:
                return [
                    _Refusal(
                        rejected.get("Reason", "no reason given"),
                        readings["device_id"][rejected["RecordIndex"]],
                        times[rejected["RecordIndex"]],
                    )
                    for rejected in error.response["RejectedRecords"]
                    # With a version of its own it is there already, by a later writer.
                    if not rejected.get("ExistingVersion")
                ]
        return []


def _hundreds(readings: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """In pieces of one interval where intervals are large, so that the time is written once a call."""
    rest: list[pl.DataFrame] = []
    for interval in readings.partition_by("time", maintain_order=True):
        if len(interval) < RECORDS_A_CALL:
            rest.append(interval)
        else:
            yield from interval.iter_slices(RECORDS_A_CALL)
    if rest:
        yield from pl.concat(rest).iter_slices(RECORDS_A_CALL)


def _records(readings: pl.DataFrame, unit: str) -> list[dict[str, Any]]:
    columns = [
        _epochs(readings[name], unit)
        if kind == "TIMESTAMP"
        else [repr(value) for value in readings[name]]
        for name, kind in MEASURES.items()
    ]
    heads = [{"Name": name, "Type": kind} for name, kind in MEASURES.items()]
    return [
        {
            "Dimensions": [{"Name": "device_id", "Value": meter}],
            "MeasureValues": [
                head | {"Value": value} for head, value in zip(heads, values, strict=True)
            ],
        }
        for meter, values in zip(readings["device_id"], zip(*columns, strict=True), strict=True)
    ]


def _are_whole_milliseconds(readings: pl.DataFrame) -> bool:
    """Whether instants can be written as milliseconds.

    A measure of type TIMESTAMP counts in the record's unit as far as anybody has written down, and in milliseconds
    in every example of AWS: where milliseconds do, both are right.
    """
    instants = [readings["time"], readings["arrival_time"]]
    return not any((column.dt.microsecond() % 1000 != 0).any() for column in instants)


def _epochs(instants: pl.Series, unit: str) -> list[str]:
    return [str(epoch) for epoch in instants.dt.epoch("ms" if unit == "MILLISECONDS" else "us")]


def _sentence(refusals: Iterable[_Refusal], readings: int) -> str:
    """What was refused, why, and what a person can do about it."""
    refused = list(refusals)
    reason, times = Counter(refusal.reason for refusal in refused).most_common(1)[0]
    example = next(refusal for refusal in refused if refusal.reason == reason)
    others = f" (and {len(refused) - times} for other reasons)" if times < len(refused) else ""
    return (
        f"Timestream refused {len(refused):,} of {readings:,} readings, such as that of meter "
        f"{example.device_id} at {frame.format_instant(example.time)}{others}: {reason.rstrip('.')}. "
        f"{_advice(reason)}"
    ).rstrip()


def _advice(reason: str) -> str:
    if "retention" in reason.lower() or "magnetic" in reason.lower():
        return (
            "`manage.py timestream status` shows how far back the table takes readings; what is older than its "
            "memory store keeps needs magnetic store writes switched on."
        )
    if "future" in reason.lower():
        return "Readings may lie 15 minutes ahead at most: look at the clock they come from."
    return ""
