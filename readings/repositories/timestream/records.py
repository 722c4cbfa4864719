"""Write readings as Timestream records, 100 per call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from headend.config.program import PROGRAM
from readings import frame
from readings.instants import format_instant
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.clients import Clients, translate_aws_errors
from readings.repository_errors import ReadingsRefusedError

RECORDS_PER_CALL = 100
"""The service's limit."""
CONCURRENT_CALLS = 16
MEASURES = {
    "arrival_time": "TIMESTAMP",
    "load": "BIGINT",
    **dict.fromkeys(("crrnt", "pf", "kva", "kw", "vltg"), "DOUBLE"),
    **dict.fromkeys(("kwh", "import_kwh", "export_kwh"), "DOUBLE"),
    "quality": "VARCHAR",
}
"""The measures of a record and their types. The reference's generator writes the first seven.

A record does not have those that are null. The device id is the only dimension.
"""


@dataclass(frozen=True)
class _Refusal:
    reason: str
    device_id: str
    time: datetime


class RecordWriter:
    """Writes readings into one table."""

    def __init__(self, address: TimestreamAddress, clients: Clients) -> None:
        self._address = address
        self._clients = clients

    def write(self, readings: pl.DataFrame) -> None:
        """Write all readings. They have the columns of ``frame.SCHEMA``, and may have others of ``frame.FULL_SCHEMA``.

        The version of a record is its arrival time in microseconds. So of two writers, the one whose reading arrived
        later replaces the other, and stays. If both arrived at once, the first one stays. Raises
        :class:`ReadingsRefusedError` for readings that the table does not accept, after all others are written, and
        :class:`RepositoryUnavailableError`.
        """
        unit = "MILLISECONDS" if _fit_milliseconds(readings) else "MICROSECONDS"
        with ThreadPoolExecutor(CONCURRENT_CALLS, thread_name_prefix="records") as threads:
            batches = _batches(readings)
            results = threads.map(lambda batch: self._write_batch(batch, unit), batches)
            refusals = [refusal for result in results for refusal in result]
        if refusals:
            raise ReadingsRefusedError(_refusal_message(refusals, len(readings)))

    def _write_batch(self, readings: pl.DataFrame, unit: str) -> list[_Refusal]:
        times = readings["time"]
        epochs = _epochs(times, unit)
        common: dict[str, Any] = {
            "MeasureName": frame.MEASURE_NAME,
            "MeasureValueType": "MULTI",
            "TimeUnit": unit,
        }
        records = _records(readings, unit)
        versions = readings["arrival_time"].dt.epoch("us").to_list()
        for attribute, values in (("Time", epochs), ("Version", versions)):
            if len(set(values)) == 1:
                common[attribute] = values[0]
            else:
                for record, value in zip(records, values, strict=True):
                    record[attribute] = value
        client = self._clients.write
        with translate_aws_errors():
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
                    # With an existing version, the reading is stored already, and arrived then or later.
                    if not rejected.get("ExistingVersion")
                ]
        return []


def _batches(readings: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield batches for one call each. Batches of a large interval share its time, which is then sent only once."""
    rest: list[pl.DataFrame] = []
    for interval in readings.partition_by("time", maintain_order=True):
        if len(interval) < RECORDS_PER_CALL:
            rest.append(interval)
        else:
            yield from interval.iter_slices(RECORDS_PER_CALL)
    if rest:
        yield from pl.concat(rest).iter_slices(RECORDS_PER_CALL)


def _records(readings: pl.DataFrame, unit: str) -> list[dict[str, Any]]:
    measures = [
        {"Name": name, "Type": kind} for name, kind in MEASURES.items() if name in readings.columns
    ]
    columns = [_texts(readings[measure["Name"]], unit) for measure in measures]
    return [
        {
            "Dimensions": [{"Name": "device_id", "Value": device_id}],
            "MeasureValues": [
                measure | {"Value": value}
                for measure, value in zip(measures, values, strict=True)
                if value is not None
            ],
        }
        for device_id, values in zip(readings["device_id"], zip(*columns, strict=True), strict=True)
    ]


def _texts(values: pl.Series, unit: str) -> list[str] | list[str | None]:
    if values.dtype == frame.INSTANT:
        return _epochs(values, unit)
    if values.dtype == pl.String():
        return values.to_list()
    return [None if value is None else repr(value) for value in values]


def _fit_milliseconds(readings: pl.DataFrame) -> bool:
    """Return whether all instants are whole milliseconds.

    AWS documents that a measure of type TIMESTAMP uses the unit of the record, but all its examples use
    milliseconds. Where milliseconds suffice, both interpretations agree.
    """
    instants = [readings["time"], readings["arrival_time"]]
    return not any((column.dt.microsecond() % 1000 != 0).any() for column in instants)


def _epochs(instants: pl.Series, unit: str) -> list[str]:
    return [str(epoch) for epoch in instants.dt.epoch("ms" if unit == "MILLISECONDS" else "us")]


def _refusal_message(refusals: Iterable[_Refusal], readings: int) -> str:
    """Return how many readings were refused, the most common reason with an example, and advice."""
    refused = list(refusals)
    reason, count = Counter(refusal.reason for refusal in refused).most_common(1)[0]
    example = next(refusal for refusal in refused if refusal.reason == reason)
    others = f" (and {len(refused) - count} for other reasons)" if count < len(refused) else ""
    return (
        f"Timestream refused {len(refused):,} of {readings:,} readings, for example that of meter "
        f"{example.device_id} at {format_instant(example.time)}{others}: {reason.rstrip('.')}. "
        f"{_advice(reason)}"
    ).rstrip()


def _advice(reason: str) -> str:
    if "retention" in reason.lower() or "magnetic" in reason.lower():
        return (
            f"`{PROGRAM} timestream status` shows how old the readings may be that the table accepts. Enable magnetic "
            "store writes to write readings that are older than the memory store's retention."
        )
    if "future" in reason.lower():
        return "The time of a reading may be at most 15 minutes in the future: check the clock of its source."
    return ""
