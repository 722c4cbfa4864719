"""Local days of a time zone: when they begin, how long they are, and whether they are holidays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from readings.simulation.town import zone_named

WEEKDAY, SATURDAY, HOLIDAY = range(3)
"""The day types of BDEW's profiles. Sundays and public holidays are of type HOLIDAY."""
SLOT_SECONDS = 900
"""A day has 96 slots of a quarter of an hour; 92 or 100 if the clocks change."""


@dataclass(frozen=True)
class LocalDay:
    """A local day. ``start`` is in seconds since 1970; ``seconds`` is its length: 82,800 or 90,000 if clocks change.

    ``hours`` has the local time of the middle of each slot, in hours, and ``solar_hours`` the same without
    daylight saving time.
    """

    date: date
    start: int
    seconds: int
    day_type: int
    hours: tuple[float, ...]
    solar_hours: tuple[float, ...]


def local_date(timezone: str, seconds: float) -> date:
    """Return the local date at an instant in seconds since 1970."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return instant.astimezone(zone_named(timezone)).date()


@lru_cache(maxsize=8)
def local_day(timezone: str, day: date) -> LocalDay:
    """Return the start, the length, the type and the slots of a local day."""
    zone = zone_named(timezone)
    start, end = (_midnight(timezone, each) for each in (day, day + timedelta(days=1)))
    seconds = max(SLOT_SECONDS, end - start)
    slots = max(1, round(seconds / SLOT_SECONDS))
    hours, solar_hours = [], []
    for slot in range(slots):
        middle = start + (slot + 0.5) * seconds / slots
        local = datetime.fromtimestamp(middle, zone)
        hours.append(_hour(local))
        solar_hours.append(_hour(local - (local.dst() or timedelta(0))))
    return LocalDay(day, start, seconds, day_type(day), tuple(hours), tuple(solar_hours))


def day_type(day: date) -> int:
    """Return the type of a day by the German calendar, to which the base curves belong."""
    if day.weekday() == 6 or is_public_holiday(day):
        return HOLIDAY
    return SATURDAY if day.weekday() == 5 else WEEKDAY


def is_public_holiday(day: date) -> bool:
    """Return whether a date is a public holiday in all of Germany."""
    fixed = {(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)}
    if (day.month, day.day) in fixed:
        return True
    # Good Friday, Easter Monday, Ascension Day, Whit Monday.
    return (day - easter_sunday(day.year)).days in {-2, 1, 39, 50}


@lru_cache(maxsize=64)
def easter_sunday(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (Meeus, "Astronomical Algorithms", chapter 8)."""
    century, of_century = divmod(year, 100)
    golden = year % 19
    leap_centuries, rest = divmod(century, 4)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - moon + 15) % 30
    weekday = (32 + 2 * rest + 2 * (of_century // 4) - epact - of_century % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _midnight(timezone: str, day: date) -> int:
    """Return when a local day begins, in seconds since 1970."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone_named(timezone)).timestamp())


def _hour(local: datetime) -> float:
    return local.hour + local.minute / 60 + local.second / 3600
