"""The readings frame: the one kind of value that readings travel as, and its text forms.

A readings frame is a Polars data frame with the columns of :data:`SCHEMA`, in that
order, sorted by :data:`ORDER`. (``device_id``, ``time``) identifies a reading.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import polars as pl

INSTANT = pl.Datetime("us", "UTC")
SCHEMA: dict[str, pl.DataType] = {
    "time": INSTANT,
    "arrival_time": INSTANT,
    "device_id": pl.String(),
    "measure_name": pl.String(),
    "load": pl.Int64(),
    "crrnt": pl.Float64(),
    "pf": pl.Float64(),
    "kva": pl.Float64(),
    "kw": pl.Float64(),
    "vltg": pl.Float64(),
}
COLUMNS = list(SCHEMA)
ORDER = ["time", "device_id"]
MEASURE_NAME = "readings"

_DATE = re.compile(
    r"""(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})
        (?:[ T](?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)
           (?:(?<=:[0-9]{2}:[0-9]{2})\.(?P<fraction>[0-9]{0,9}))?
           (?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?
        )?""",
    re.VERBOSE | re.ASCII,
)
_CANONICAL = "%Y-%m-%d %H:%M:%S%.6f"
_MANY_READINGS = 2_000
"""From how many on it is quicker to find the distinct instants first than to format each."""


def empty() -> pl.DataFrame:
    """A readings frame without rows."""
    return pl.DataFrame(schema=SCHEMA)


def in_order(readings: pl.DataFrame) -> pl.DataFrame:
    """The frame sorted by :data:`ORDER`; quick where each interval's readings are sorted already."""
    earliest, latest = readings["time"].min(), readings["time"].max()
    if earliest == latest:
        return _in_order_of_meters(readings)
    times = readings["time"].unique()
    if len(times) * 100 > len(readings):
        return readings.sort(ORDER)
    intervals = readings.partition_by("time", maintain_order=True)
    intervals.sort(key=lambda interval: interval["time"][0])
    return pl.concat([_in_order_of_meters(interval) for interval in intervals])


def _in_order_of_meters(interval: pl.DataFrame) -> pl.DataFrame:
    return interval if interval["device_id"].is_sorted() else interval.sort("device_id")


def parse_instant(text: str) -> datetime:
    """The instant that ``text`` names, in UTC, cut to microseconds.

    Takes the canonical ``YYYY-MM-DD HH:MM:SS.ffffff`` with 0 to 9 decimals, the same
    without seconds, a date alone, and ISO 8601 with ``T`` and ``Z`` or an offset.
    Raises ``ValueError`` for anything else, and for instants outside the years 1 to 9999.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a date like 2023-02-27 16:00:00.000000")
    clock = match["clock"] or "00:00"
    seconds = "" if clock.count(":") == 2 else ":00"
    micros = int(((match["fraction"] or "") + "000000")[:6])
    try:
        local = datetime.strptime(f"{match['day']} {clock}{seconds}", "%Y-%m-%d %H:%M:%S")
        return (local.replace(microsecond=micros, tzinfo=_zone(match["zone"]))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is not a date that exists") from None


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def format_instant(instant: datetime) -> str:
    """The canonical text of an instant: ``YYYY-MM-DD HH:MM:SS.ffffff`` in UTC."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def with_instants_as_text(readings: pl.DataFrame) -> pl.DataFrame:
    """The frame with ``time`` and ``arrival_time`` in canonical text form."""
    if len(readings) < _MANY_READINGS:
        return readings.with_columns(pl.col("time", "arrival_time").dt.strftime(_CANONICAL))
    return readings.with_columns(
        _text_of_distinct_instants(readings[name]) for name in ("time", "arrival_time")
    )


def _text_of_distinct_instants(instants: pl.Series) -> pl.Series:
    # An interval's readings share their time, and nearly all their arrival time: formatting each
    # distinct instant once took half of the time of writing a CSV away.
    distinct = instants.unique()
    if len(distinct) * 4 > len(instants):
        return instants.dt.strftime(_CANONICAL)
    return instants.replace_strict(
        distinct, distinct.dt.strftime(_CANONICAL), return_dtype=pl.String
    )
