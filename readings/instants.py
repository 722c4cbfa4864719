"""Instants as text, as numbers and as limits. Independent of Polars, so that a process without readings starts fast."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
"""The first instant that Python has. A table may hold such readings; callers cannot name it."""
LAST_INSTANT = datetime.max.replace(tzinfo=UTC)
EARLIEST_INSTANT = _EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The earliest instant that a caller can name and that a file can contain."""
YEARS_AHEAD = 10
"""How far in the future instants of callers and files can be."""
_MICROSECOND = timedelta(microseconds=1)

_INSTANT_TEXT = re.compile(
    r"""([0-9]{4})-([0-9]{2})-([0-9]{2})
        (?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{0,9}))?)?
           (Z|[+-][0-9]{2}:?[0-9]{2})?
        )?""",
    re.VERBOSE | re.ASCII,
)
_LOST_PLUS = re.compile(r"[0-9]{2}:[0-9]{2}[0-9:.]* [0-9]{2}:?[0-9]{2}\Z", re.ASCII)
"""The end of a time with an offset, in which a server has read ``+`` as a space."""


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
        hint = "; write the + of an offset as %2B in a URL" if _LOST_PLUS.search(text[-40:]) else ""
        raise ValueError(f"{text[:40]!r} is not a date like 2023-02-27 16:00:00.000000{hint}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    micros = int((fraction or "").ljust(6, "0")[:6])
    # The constructor takes a quarter of the time of strptime.
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            micros,
            _parse_zone(zone),
        ).astimezone(UTC)
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
