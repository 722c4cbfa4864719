"""When readings reach the headend: a delivery curve, and outages of the communication of neighbourhoods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from readings.instants import to_micros
from readings.simulation.customers import METERS_PER_NEIGHBOURHOOD
from readings.simulation.random_numbers import (
    Bits,
    meter_streams,
    streams_at_number,
    thirds,
    uniform,
)
from readings.simulation.town import DeliveryCurve, zone_named

Stages = npt.NDArray[np.uint8]

AT_ONCE, AFTER_AN_HOUR, BY_FIVE, AFTER_THREE_DAYS, NEVER = range(5)
"""The stages in which the readings of an interval arrive."""
_HOUR, _THREE_DAYS = timedelta(hours=1), timedelta(days=3)
_LONGEST_WAIT = timedelta(hours=31)
"""The local day before begins at most this long before 05:00: after 29 hours, or more if the clocks change."""
_DELIVERY, _OUTAGE = 90, 91
"""Channels of random numbers."""
_OUTAGE_SEED = 0x6F757467
"""Neighbourhoods are numbered like meters. This makes their random streams different from those of meters."""
_OUTAGES_PER_DAY = 0.01
"""How many outages a neighbourhood has on a day."""
_LONGEST_OUTAGE = 12 * 3600


def stage_instants(time: datetime, timezone: str) -> list[datetime]:
    """Return when the readings of an interval arrive in each stage but the last.

    The third one is 05:00 of the local day after that of the interval, which ends at ``time``.
    """
    # An interval that ends at midnight belongs to the day before.
    day = (time - timedelta(microseconds=1)).astimezone(zone_named(timezone)).date()
    five = _five_o_clock(day + timedelta(days=1), timezone)
    return [time, time + _HOUR, five, time + _THREE_DAYS]


def late_arrivals(
    times: Callable[[datetime, datetime], Iterable[datetime]],
    timezone: str,
    after: datetime,
    until: datetime,
) -> Iterator[tuple[datetime, datetime, int]]:
    """Yield instant, time and stage of the late arrivals with ``after < instant <= until``, in any order.

    ``times`` returns the times of the intervals between two instants, both inclusive.
    """
    for stage, delay in ((AFTER_AN_HOUR, _HOUR), (AFTER_THREE_DAYS, _THREE_DAYS)):
        for time in times(after - delay, until - delay):
            if time + delay > after:
                yield time + delay, time, stage
    zone = zone_named(timezone)
    day = after.astimezone(zone).date()
    while day <= until.astimezone(zone).date():
        five = _five_o_clock(day, timezone)
        if after < five <= until:
            for time in times(five - _LONGEST_WAIT, five):
                if stage_instants(time, timezone)[BY_FIVE] == five:
                    yield five, time, BY_FIVE
        day += timedelta(days=1)


def _five_o_clock(day: date, timezone: str) -> datetime:
    return datetime(day.year, day.month, day.day, 5, tzinfo=zone_named(timezone)).astimezone(UTC)


def delivery_stages(
    curve: DeliveryCurve, seed: int, meters: Bits, streams: Bits, time: datetime, timezone: str
) -> Stages:
    """Return the stage in which each meter's reading of an interval arrives.

    ``meters`` are the numbers of the meters and ``streams`` their streams at the interval. During an outage of a
    neighbourhood, nothing arrives: its readings come by 05:00, or after three days if the outage is longer.
    """
    drawn = uniform(streams, _DELIVERY, 0, 100)
    stages = np.searchsorted(curve.shares, drawn, side="right").astype(np.uint8)
    neighbourhoods = (meters - np.uint64(1)) // np.uint64(METERS_PER_NEIGHBOURHOOD)
    known, index = np.unique(neighbourhoods, return_inverse=True)
    ends = outage_ends(seed, known, time)
    if (ends > 0).any():
        five = to_micros(stage_instants(time, timezone)[BY_FIVE]) / 1e6
        earliest = np.where(ends > five, AFTER_THREE_DAYS, np.where(ends > 0, BY_FIVE, AT_ONCE))
        stages = np.maximum(stages, earliest[index].astype(np.uint8))
    return stages


def outage_ends(seed: int, neighbourhoods: Bits, time: datetime) -> npt.NDArray[np.float64]:
    """Return when the outage of each neighbourhood at an instant ends, in seconds since 1970; 0 if there is none.

    An outage begins at a random time of a day and lasts up to half a day.
    """
    streams = meter_streams(seed ^ _OUTAGE_SEED, neighbourhoods)
    seconds = to_micros(time) / 1e6
    today = int(seconds // 86_400)
    found = np.zeros(len(neighbourhoods))
    for day in (today - 1, today):
        happens, start, length = thirds(streams_at_number(streams, day), _OUTAGE)
        begins = 86_400 * (day + start)
        ends = begins + _LONGEST_OUTAGE * length**2
        now = (happens < _OUTAGES_PER_DAY) & (begins <= seconds) & (seconds < ends)
        found = np.where(now, np.maximum(found, ends), found)
    return found
