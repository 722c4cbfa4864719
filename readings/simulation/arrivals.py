"""Which readings a fleet sends for an interval, and when they arrive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from readings import frame
from readings.instants import to_micros
from readings.simulation.fleet import Fleet, Meters
from readings.simulation.mixed_profile import mixed_profile
from readings.simulation.profiles import LATENESS, uniform_profile
from readings.simulation.random_numbers import (
    Bits,
    Floats,
    meter_streams,
    streams_at_instant,
    uniform,
)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, order=True)
class Arrival:
    """Readings that arrive together at the instant ``at``: the late ones of the interval ``time``, or all others."""

    at: datetime
    time: datetime
    late: bool


def readings_for(fleet: Fleet, time: datetime, arrived_by: datetime | None = None) -> pl.DataFrame:
    """Return the readings of one interval that have arrived by an instant, or all if it is None.

    The result is a sorted readings frame. A late reading has ``arrival_time`` = ``time`` + the fleet's delay,
    any other has ``arrival_time`` = ``time``.
    """
    if arrived_by is None or time + fleet.delay <= arrived_by:
        return _readings(fleet, time, lambda late: np.ones_like(late))
    if time <= arrived_by:
        return readings_in_arrival(fleet, Arrival(at=time, time=time, late=False))
    return frame.empty()


def readings_in_arrival(fleet: Fleet, arrival: Arrival) -> pl.DataFrame:
    """Return the readings of one arrival as a sorted readings frame."""
    return _readings(fleet, arrival.time, lambda late: late if arrival.late else ~late)


def arrivals_between(fleet: Fleet, after: datetime, until: datetime) -> list[Arrival]:
    """Return the arrivals with ``after < at <= until``, earliest first."""
    arrivals = [Arrival(time, time, late=False) for time in fleet.intervals(after, until)]
    if fleet.late_arrivals:
        times = fleet.intervals(after - fleet.delay, until - fleet.delay)
        arrivals += [Arrival(time + fleet.delay, time, late=True) for time in times]
    return sorted(arrival for arrival in arrivals if arrival.at > after)


def _readings(fleet: Fleet, time: datetime, select: Callable[[Mask], Mask]) -> pl.DataFrame:
    """Return readings of one interval. ``select`` gets which meters are late, and returns which to include."""
    batches = [
        _batch(fleet, start, time, select)
        for start in range(0, fleet.devices, fleet.devices_per_batch)
    ]
    return pl.concat(batches)


def _batch(
    fleet: Fleet, start: int, time: datetime, select: Callable[[Mask], Mask]
) -> pl.DataFrame:
    meters = fleet.meters.slice(start, fleet.devices_per_batch)
    streams = meter_streams(fleet.seed, meters.number)
    streams = streams_at_instant(streams, to_micros(time))
    late = _late_meters(fleet, streams)
    columns, meters, late = _columns(fleet, start, time, meters, streams, late, select(late))
    on_time = frame.instants(np.full(len(late), to_micros(time)))
    arrival_time = on_time
    if late.any():
        arrives = np.where(late, to_micros(time + fleet.delay), to_micros(time))
        arrival_time = frame.instants(arrives)
    # Expressions would take most of the time of a backfill: each interval would start a query.
    return pl.DataFrame(
        {
            "time": on_time,
            "arrival_time": arrival_time,
            "device_id": meters.device_id,
            "measure_name": pl.Series([frame.MEASURE_NAME]).new_from_index(0, len(late)),
            "load": meters.load,
            **columns,
        }
    )


def _columns(
    fleet: Fleet,
    start: int,
    time: datetime,
    meters: Meters,
    streams: Bits,
    late: Mask,
    selected: Mask,
) -> tuple[dict[str, Floats], Meters, Mask]:
    """Return the values of the selected meters of a batch, these meters, and which of them are late."""
    if selected.all():
        if fleet.profile == "mixed":
            return mixed_profile(fleet, start, time, streams), meters, late
        return uniform_profile(fleet, meters, streams), meters, late
    chosen = meters.filter(selected)
    if fleet.profile == "mixed":
        columns = mixed_profile(fleet, start, time, streams)
        return {name: values[selected] for name, values in columns.items()}, chosen, late[selected]
    return uniform_profile(fleet, chosen, streams[selected]), chosen, late[selected]


def _late_meters(fleet: Fleet, streams: Bits) -> Mask:
    if not fleet.late_arrivals:
        return np.zeros(len(streams), dtype=bool)
    return uniform(streams, LATENESS, 0, 100) < fleet.late_percent
