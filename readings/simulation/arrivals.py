"""What the fleet's meters send for an interval, and when it arrives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from readings import frame
from readings.simulation.fleet import Fleet, Meters
from readings.simulation.profiles import LATENESS, uniform_profile
from readings.simulation.random_numbers import Bits, at_instant, meter_streams, uniform

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, order=True)
class Arrival:
    """Readings that come in together: those of the interval ``time`` that are late, or those that are not."""

    at: datetime
    time: datetime
    late: bool


def readings_for(fleet: Fleet, time: datetime, arrived_by: datetime | None = None) -> pl.DataFrame:
    """The readings of one interval that have arrived by an instant; all of them when it is None.

    A readings frame in order. A late meter's reading carries ``arrival_time`` = ``time`` + the
    fleet's delay.
    """
    if arrived_by is None or time + fleet.delay <= arrived_by:
        return _readings(fleet, time, lambda late: np.ones_like(late))
    if time <= arrived_by:
        return readings_in_arrival(fleet, Arrival(at=time, time=time, late=False))
    return frame.empty()


def readings_in_arrival(fleet: Fleet, arrival: Arrival) -> pl.DataFrame:
    """The readings that come in with one arrival, as a readings frame in order."""
    return _readings(fleet, arrival.time, lambda late: late if arrival.late else ~late)


def arrivals_between(fleet: Fleet, after: datetime, until: datetime) -> list[Arrival]:
    """What is due later than ``after`` and not later than ``until``, in order of arrival."""
    arrivals = [Arrival(time, time, late=False) for time in fleet.intervals(after, until)]
    if fleet.late_arrivals:
        sent = fleet.intervals(after - fleet.delay, until - fleet.delay)
        arrivals += [Arrival(time + fleet.delay, time, late=True) for time in sent]
    return sorted(arrival for arrival in arrivals if arrival.at > after)


def _readings(fleet: Fleet, time: datetime, wanted: Callable[[Mask], Mask]) -> pl.DataFrame:
    batches = [
        _batch(fleet, fleet.meters.slice(start, fleet.devices_per_batch), time, wanted)
        for start in range(0, fleet.devices, fleet.devices_per_batch)
    ]
    return pl.concat(batches, rechunk=True)


def _batch(
    fleet: Fleet, meters: Meters, time: datetime, wanted: Callable[[Mask], Mask]
) -> pl.DataFrame:
    streams = at_instant(meter_streams(fleet.seed, meters.number), (time - _EPOCH) // _MICROSECOND)
    late = _is_late(fleet, streams)
    mask = wanted(late)
    if not mask.all():
        meters, streams, late = meters.where(mask), streams[mask], late[mask]
    arrival = pl.when(pl.Series(late)).then(pl.lit(time + fleet.delay)).otherwise(pl.lit(time))
    values = uniform_profile(fleet, meters, streams)
    return pl.DataFrame({"device_id": meters.device_id, "load": meters.load}).select(
        pl.lit(time).cast(frame.INSTANT).alias("time"),
        arrival.cast(frame.INSTANT).alias("arrival_time"),
        "device_id",
        pl.lit(frame.MEASURE_NAME).alias("measure_name"),
        "load",
        *(pl.Series(name, column) for name, column in values.items()),
    )


def _is_late(fleet: Fleet, streams: Bits) -> Mask:
    if not fleet.late_arrivals:
        return np.zeros(len(streams), dtype=bool)
    return uniform(streams, LATENESS, 0, 100) < fleet.late_percent
