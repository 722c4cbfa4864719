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
from readings.simulation.delivery import Stages, delivery_stages, late_arrivals, stage_instants
from readings.simulation.fleet import Fleet, Meters
from readings.simulation.mixed_profile import mixed_profile
from readings.simulation.profiles import LATENESS, uniform_profile
from readings.simulation.random_numbers import (
    Bits,
    Floats,
    streams_at_instant,
    uniform,
)

Mask = npt.NDArray[np.bool_]
MEASURED = frame.QUALITIES[0]
"""The quality of all simulated readings that have energy."""


@dataclass(frozen=True, order=True)
class Arrival:
    """Readings of the interval ``time`` that arrive together at the instant ``at``: those of one stage.

    Stage 0 arrives on time. All others are late.
    """

    at: datetime
    time: datetime
    late: bool
    stage: int = 0


def readings_for(fleet: Fleet, time: datetime, arrived_by: datetime | None = None) -> pl.DataFrame:
    """Return the readings of one interval that have arrived by an instant, or all if it is None.

    The result is a sorted readings frame, with the full columns if the fleet's meters have registers. A late reading
    has ``arrival_time`` = ``time`` + the fleet's delay, any other has ``arrival_time`` = ``time``. With a delivery
    curve, ``arrival_time`` is the instant of its stage, and readings that never arrive are missing.
    """
    instants = _stage_instants(fleet, time)
    arrived = sum(1 for instant in instants if arrived_by is None or instant <= arrived_by)
    if not arrived:
        return frame.empty(frame.FULL_COLUMNS if fleet.has_registers else frame.COLUMNS)
    return _readings(fleet, time, instants, lambda stages: stages < arrived)


def readings_in_arrival(fleet: Fleet, arrival: Arrival) -> pl.DataFrame:
    """Return the readings of one arrival as a sorted readings frame."""
    stage = max(arrival.stage, int(arrival.late))
    instants = _stage_instants(fleet, arrival.time)
    return _readings(fleet, arrival.time, instants, lambda stages: stages == stage)


def arrivals_between(fleet: Fleet, after: datetime, until: datetime) -> list[Arrival]:
    """Return the arrivals with ``after < at <= until``, earliest first."""
    arrivals = [Arrival(time, time, late=False) for time in fleet.intervals(after, until)]
    if fleet.late_arrivals:
        times = fleet.intervals(after - fleet.delay, until - fleet.delay)
        arrivals += [Arrival(time + fleet.delay, time, late=True, stage=1) for time in times]
    if fleet.delivery:
        arrivals += [
            Arrival(at, time, late=True, stage=stage)
            for at, time, stage in late_arrivals(fleet.intervals, fleet.town.timezone, after, until)
        ]
    return sorted(arrival for arrival in arrivals if arrival.at > after)


def missing_percent(fleet: Fleet, time: datetime, now: datetime) -> float:
    """Return the percentage of an interval's readings that has not arrived at ``now``. Intervals vary around it."""
    if fleet.delivery:
        passed = sum(1 for instant in _stage_instants(fleet, time) if instant <= now)
        return 100 - fleet.delivery.shares[passed - 1] if passed else 100
    return fleet.late_percent if fleet.late_arrivals and now - time <= fleet.delay else 0


def can_still_arrive(fleet: Fleet, time: datetime, now: datetime) -> bool:
    """Return whether readings of an interval can arrive after ``now``."""
    is_late = fleet.late_arrivals or fleet.delivery is not None
    return is_late and _stage_instants(fleet, time)[-1] > now


def _stage_instants(fleet: Fleet, time: datetime) -> list[datetime]:
    """Return when the readings of an interval arrive, by stage."""
    if fleet.delivery:
        return stage_instants(time, fleet.town.timezone)
    return [time, time + fleet.delay]


def _readings(
    fleet: Fleet, time: datetime, instants: list[datetime], select: Callable[[Stages], Mask]
) -> pl.DataFrame:
    """Return readings of one interval. ``select`` gets the stages of the meters, and returns which to include."""
    batches = [
        _batch(fleet, start, time, instants, select)
        for start in range(0, fleet.devices, fleet.devices_per_batch)
    ]
    return pl.concat(batches)


def _batch(
    fleet: Fleet,
    start: int,
    time: datetime,
    instants: list[datetime],
    select: Callable[[Stages], Mask],
) -> pl.DataFrame:
    meters = fleet.meters.slice(start, fleet.devices_per_batch)
    streams = fleet.streams[start : start + fleet.devices_per_batch]
    streams = streams_at_instant(streams, to_micros(time))
    stages = _stages(fleet, meters, streams, time)
    selected = select(stages)
    columns, meters = _columns(fleet, start, time, meters, streams, selected)
    if len(meters) < len(stages):
        stages = stages[selected]
    on_time = frame.instants(np.full(len(stages), to_micros(time)))
    arrival_time = on_time
    if stages.any():
        arrival_time = frame.instants(np.array([to_micros(at) for at in instants])[stages])
    values = {
        "time": on_time,
        "arrival_time": arrival_time,
        "device_id": meters.device_id,
        "measure_name": _repeated(frame.MEASURE_NAME, len(stages)),
        "load": meters.load,
        **columns,
    }
    if fleet.has_registers:
        values["quality"] = _repeated(MEASURED, len(stages))
    # Without expressions: each interval would start a query, which would take most of the time of a backfill.
    return pl.DataFrame(values)


def _repeated(text: str, times: int) -> pl.Series:
    return pl.Series([text]).new_from_index(0, times)


def _columns(
    fleet: Fleet, start: int, time: datetime, meters: Meters, streams: Bits, selected: Mask
) -> tuple[dict[str, Floats], Meters]:
    """Return the values of the selected meters of a batch, and these meters."""
    everything = bool(selected.all())
    chosen = meters if everything else meters.filter(selected)
    if fleet.profile == "uniform":
        return uniform_profile(fleet, chosen, streams if everything else streams[selected]), chosen
    columns = mixed_profile(fleet, start, time, streams)
    if not everything:
        columns = {name: values[selected] for name, values in columns.items()}
    return columns, chosen


def _stages(fleet: Fleet, meters: Meters, streams: Bits, time: datetime) -> Stages:
    """Return the stage in which each meter's reading arrives."""
    if fleet.delivery:
        return delivery_stages(
            fleet.delivery, fleet.seed, meters.number, streams, time, fleet.town.timezone
        )
    if fleet.late_arrivals:
        return (uniform(streams, LATENESS, 0, 100) < fleet.late_percent).astype(np.uint8)
    return np.zeros(len(streams), dtype=np.uint8)
