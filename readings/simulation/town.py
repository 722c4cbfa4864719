"""Where a fleet with mixed customers is, which customers it has, and when its readings arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

PROFILES = ("uniform", "mixed")
CLASSES = (
    "household",
    "household_heat_pump",
    "household_electric_car",
    "household_pv",
    "shop",
    "office",
    "farm",
    "small_industry",
)
"""The customer classes. Arrays with one value per class have this order."""
DEFAULT_SHARES = (
    "household=56,household_heat_pump=10,household_electric_car=8,household_pv=12,"
    "shop=5,office=4,farm=2,small_industry=3"
)
DEFAULT_TIMEZONE = "Europe/Berlin"
DEFAULT_LATITUDE = 51.0
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Town:
    """The place of a fleet.

    - ``shares``: the percentage of the meters in each class, as text such as ``household=80,shop=20``. A class that
      is not named has no meters. The percentages add up to 100.
    - ``timezone``: the name of the local calendar's time zone, such as ``Europe/Berlin``.
    - ``latitude``: degrees north, from -65 to 65: closer to the poles, the sun does not rise on some days.

    Raises ``ValueError`` for a value out of range. The message names the parameter.
    """

    shares: str = DEFAULT_SHARES
    timezone: str = DEFAULT_TIMEZONE
    latitude: float = DEFAULT_LATITUDE

    def __post_init__(self) -> None:
        parse_shares(self.shares)
        zone_named(self.timezone)
        if not -65 <= self.latitude <= 65:
            raise ValueError(f"latitude: {self.latitude:g} is not between -65 and 65.")


@dataclass(frozen=True)
class DeliveryCurve:
    """How many percent of an interval's readings are present after 5 minutes, an hour, by 05:00, and after three days.

    05:00 is that of the next local day. Raises ``ValueError`` if they are not ascending from 0 to 100.
    """

    shares: tuple[float, float, float, float] = (90, 95, 98, 99.8)

    def __post_init__(self) -> None:
        ascending = sorted(self.shares) == list(self.shares)
        if not (ascending and all(0 <= share <= 100 for share in self.shares)):
            raise ValueError("delivery: the four percentages must be ascending, from 0 to 100.")


def parse_delivery(text: str) -> DeliveryCurve | None:
    """Return the curve of a text: ``off``, ``on`` for the default, or four percentages such as ``90,95,98,99.8``."""
    if text.lower() in {"off", "on"}:
        return DeliveryCurve() if text.lower() == "on" else None
    try:
        first, hour, five, days = (float(number) for number in text.split(","))
    except ValueError:
        raise ValueError(f"delivery: {text!r} is not on, off or four percentages.") from None
    return DeliveryCurve((first, hour, five, days))


def parse_shares(text: str) -> Mapping[str, float]:
    """Return the percentage of each named class.

    Raises ``ValueError`` if a class is unknown or repeated, a percentage is not a number from 0 to 100, or
    they do not add up to 100.
    """
    shares: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (part.strip() for part in item.partition("="))
        if name not in CLASSES:
            raise ValueError(f"shares: {name!r} is not a customer class; use {', '.join(CLASSES)}.")
        if name in shares:
            raise ValueError(f"shares: {name} occurs twice.")
        shares[name] = _percentage(name, number)
    total = sum(shares.values())
    if abs(total - 100) > _ROUNDING:
        raise ValueError(f"shares: the percentages add up to {total:g}, not to 100.")
    return shares


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone of the tz database. Raises ``ValueError`` for an unknown name."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        # zoneinfo raises all of these: names with odd characters, folders of the database, and unknown names.
        raise ValueError(
            f"timezone: {name!r} is not a time zone; write one such as Europe/Berlin."
        ) from None


def _percentage(name: str, text: str) -> float:
    try:
        percentage = float(text)
    except ValueError:
        percentage = -1.0
    # NaN fails every comparison.
    if not 0 <= percentage <= 100:
        raise ValueError(f"shares: {name}={text} is not a number from 0 to 100.")
    return percentage


DEFAULT_TOWN = Town()
