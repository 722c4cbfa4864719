"""Pages of the known meters: all of them by device id, or those that are silent, the longest first.

A page reads as many rows of an index as it has meters, however many meters the table has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from readings.completeness import with_completeness
from readings.feed import newest_interval
from readings.ingest.deployment_fleet import customer_class_of
from readings.models import Meter
from readings.repositories import Snapshot
from readings.window import Position

MAX_EXAMINED = 5_000
"""How many silent meters a page with a prefix examines. They are sorted by time, not by id."""


@dataclass(frozen=True)
class MeterPage:
    """The device ids of one page. ``last`` is the position of the last meter examined, if there are more after it."""

    device_ids: list[str]
    last: Position | None


def page_by_device_id(prefix: str, after: str, size: int) -> MeterPage:
    """Return at most ``size`` meters whose device id begins with ``prefix`` and comes after ``after``."""
    meters = Meter.objects.with_prefix(prefix, after=after).order_by("device_id")
    rows = meters.values_list("last_time", "device_id")[: size + 1]
    return _first_of([Position(*row) for row in rows], prefix, size, examined=size)


def page_of_silent(
    silent_since: datetime, prefix: str, after: Position | None, size: int
) -> MeterPage:
    """Return at most ``size`` meters whose recorded last time is before ``silent_since``, the earliest first.

    The table may be an hour old, so some of them may have sent readings since.
    """
    examined = max(size, MAX_EXAMINED) if prefix else size
    silent = Meter.objects.filter(last_time__lt=silent_since).order_by("last_time", "device_id")
    rows: list[tuple[datetime, str]] = []
    if after is not None:
        # Not one condition with OR: the databases would read all rows before the position.
        same_time = silent.filter(last_time=after.time, device_id__gt=after.device_id)
        rows += same_time.values_list("last_time", "device_id")[: examined + 1]
        silent = silent.filter(last_time__gt=after.time)
    rows += silent.values_list("last_time", "device_id")[: examined + 1 - len(rows)]
    return _first_of([Position(*row) for row in rows], prefix, size, examined=examined)


def describe_meters(
    snapshot: Snapshot, device_ids: Sequence[str], silent_since: datetime | None = None
) -> pl.DataFrame:
    """Return what the repository knows about some meters, in the order of ``device_ids``.

    Columns: those of ``METER_SUMMARIES_SCHEMA``, ``completeness_last_day``, ``completeness`` and ``customer_class``.
    The times of the first and the last reading are null if all readings of a meter were deleted. With ``silent_since``,
    meters with a later reading are left out.
    """
    wanted = pl.DataFrame({"device_id": device_ids}, schema={"device_id": pl.String()})
    if wanted.is_empty():
        return wanted
    found = snapshot.meter_summaries(device_ids)
    if silent_since is not None:
        not_silent = found.filter(pl.col("last") >= silent_since)
        found = found.join(not_silent, on="device_id", how="anti")
        wanted = wanted.join(not_silent, on="device_id", how="anti", maintain_order="left")
    described = with_completeness(snapshot, found, newest_interval())
    classes = pl.Series("customer_class", customer_class_of(wanted["device_id"]), pl.String)
    return wanted.join(described, on="device_id", how="left", maintain_order="left").with_columns(
        pl.col("readings").fill_null(0), classes
    )


def _first_of(found: list[Position], prefix: str, size: int, *, examined: int) -> MeterPage:
    """Return the first ``size`` meters with the prefix among the first ``examined`` ones that were found."""
    device_ids: list[str] = []
    last = None
    for last in found[:examined]:
        if last.device_id.startswith(prefix):
            device_ids.append(last.device_id)
        if len(device_ids) == size:
            break
    return MeterPage(device_ids, last if found and last != found[-1] else None)
