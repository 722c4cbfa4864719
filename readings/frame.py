"""The readings frame: the form in which readings travel through the code. Instants as text and as numbers.

A readings frame is a Polars data frame with the columns of :data:`SCHEMA`, in that order, sorted by
:data:`ORDER`. (``device_id``, ``time``) identifies a reading. Units: ``load`` and ``kw`` in kW, ``crrnt`` in A,
``kva`` in kVA, ``vltg`` in kV; ``pf`` (power factor) has no unit.
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
MEANINGS = {
    "time": "The interval that the reading is for.",
    "arrival_time": "When the headend received the reading; later than time for a late reading.",
    "device_id": "The meter.",
    "measure_name": "Always readings.",
    "load": "Contracted load, kW.",
    "crrnt": "Current, A.",
    "pf": "Power factor, without a unit.",
    "kva": "Apparent power, kVA.",
    "kw": "Active power, kW.",
    "vltg": "Voltage, kV.",
}
"""What each column means, for the OpenAPI schema."""
COLUMNS = list(SCHEMA)
ORDER = ["time", "device_id"]
MEASURE_NAME = "readings"
"""The value of ``measure_name`` in every reading. The contract demands it."""

FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
"""The first instant that Python has. A table may hold such readings; callers cannot name it."""
LAST_INSTANT = datetime.max.replace(tzinfo=UTC)
EARLIEST_INSTANT = _EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The earliest instant that a caller can name and that a file can contain."""
YEARS_AHEAD = 10
"""How far in the future instants of callers and files can be."""
_MICROSECOND = timedelta(microseconds=1)

_INSTANT_TEXT = re.compile(
    r"""(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})
        (?:[ T](?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)
           (?:(?<=:[0-9]{2}:[0-9]{2})\.(?P<fraction>[0-9]{0,9}))?
           (?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?
        )?""",
    re.VERBOSE | re.ASCII,
)
_CANONICAL_FORMAT = "%Y-%m-%d %H:%M:%S%.6f"
_MIN_READINGS_TO_SEARCH_DISTINCT = 2_000
"""In a smaller frame, formatting every instant is faster than a search for the distinct ones."""


def empty() -> pl.DataFrame:
    """Return a readings frame without rows."""
    return pl.DataFrame(schema=SCHEMA)


def literal(instant: datetime) -> pl.Expr:
    """Return an instant as a Polars expression. ``pl.lit`` takes 30 times as long."""
    return pl.lit(to_micros(instant), pl.Int64).cast(INSTANT)


def is_late() -> pl.Expr:
    """Return an expression of a readings frame: whether a reading is late."""
    return pl.col("arrival_time") > pl.col("time")


def in_order(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the frame sorted by :data:`ORDER`.

    This is faster than Polars' sort if a frame has few intervals and each is already sorted by device id.
    """
    earliest, latest = readings["time"].min(), readings["time"].max()
    if earliest == latest:
        return _sort_by_device_id(readings)
    times = readings["time"].unique()
    if len(times) * 100 > len(readings):
        return readings.sort(ORDER)
    intervals = readings.partition_by("time", maintain_order=True)
    intervals.sort(key=lambda interval: interval["time"][0])
    return pl.concat([_sort_by_device_id(interval) for interval in intervals])


def _sort_by_device_id(interval: pl.DataFrame) -> pl.DataFrame:
    return interval if interval["device_id"].is_sorted() else interval.sort("device_id")


def parse_instant(text: str) -> datetime:
    """Return the instant that ``text`` names, in UTC, truncated to microseconds.

    Accepted forms:

    - the canonical form ``YYYY-MM-DD HH:MM:SS.ffffff``, with 0 to 9 decimals
    - the same without decimals, or without seconds
    - a date alone, which means its midnight
    - ISO 8601, with ``T`` instead of the space, and ``Z`` or an offset such as ``+02:00``

    Raises ``ValueError`` for any other text, and for instants outside the years 1 to 9999. The message
    quotes the text.
    """
    match = _INSTANT_TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a date like 2023-02-27 16:00:00.000000")
    clock = match["clock"] or "00:00"
    seconds = "" if clock.count(":") == 2 else ":00"
    micros = int(((match["fraction"] or "") + "000000")[:6])
    try:
        local = datetime.strptime(f"{match['day']} {clock}{seconds}", "%Y-%m-%d %H:%M:%S")
        return local.replace(microsecond=micros, tzinfo=_parse_zone(match["zone"])).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is not a date that exists") from None


def latest_instant() -> datetime:
    """Return the latest instant that a caller can name and that a file can contain: ten years from now."""
    now = datetime.now(UTC)
    try:
        return now.replace(year=now.year + YEARS_AHEAD)
    except ValueError:  # 29 February
        return now.replace(year=now.year + YEARS_AHEAD, month=3, day=1)


def parse_bounded_instant(text: str) -> datetime:
    """Return the instant that ``text`` names, as :func:`parse_instant` does.

    Raises ``ValueError`` also for an instant before :data:`EARLIEST_INSTANT` or after :func:`latest_instant`.
    """
    instant = parse_instant(text)
    if not EARLIEST_INSTANT <= instant <= latest_instant():
        raise ValueError(f"{text[:40]!r} is not between 1970-01-01 and ten years from now")
    return instant


def _parse_zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    return timezone(sign * timedelta(hours=hours, minutes=minutes))


def format_instant(instant: datetime) -> str:
    """Return the canonical text of an instant: ``YYYY-MM-DD HH:MM:SS.ffffff`` in UTC."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def to_micros(instant: datetime) -> int:
    """Return the microseconds from 1970 to ``instant``; negative before 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the instant that is ``micros`` microseconds after the beginning of 1970."""
    return _EPOCH + int(micros) * _MICROSECOND


def with_instants_as_text(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with ``time`` and ``arrival_time`` as canonical text."""
    if len(readings) < _MIN_READINGS_TO_SEARCH_DISTINCT:
        return readings.with_columns(pl.col("time", "arrival_time").dt.strftime(_CANONICAL_FORMAT))
    return readings.with_columns(
        _format_distinct_instants(readings[name]) for name in ("time", "arrival_time")
    )


def _format_distinct_instants(instants: pl.Series) -> pl.Series:
    # All readings of an interval have the same time, and nearly all the same arrival time. Formatting
    # each distinct instant once halves the time that a CSV file takes.
    distinct = instants.unique()
    if len(distinct) * 4 > len(instants):
        return instants.dt.strftime(_CANONICAL_FORMAT)
    return instants.replace_strict(
        distinct, distinct.dt.strftime(_CANONICAL_FORMAT), return_dtype=pl.String
    )
