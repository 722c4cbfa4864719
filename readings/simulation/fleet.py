"""The simulated fleet: its meters, and the times of its intervals."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from readings.simulation.random_numbers import Bits, meter_streams
from readings.simulation.town import DEFAULT_TOWN, PROFILES, DeliveryCurve, Town

MINUTES_PER_DAY = 1440


@dataclass(frozen=True)
class Fleet:
    """A simulated fleet. Names and defaults are those of the Device Data Generator of the reference.

    - ``interval_minutes``: from one interval to the next; a divisor of 1440.
    - ``devices``: number of meters. Meters are numbered from 1.
    - ``devices_per_batch``: meters that are calculated at once. It does not change the readings.
    - ``voltage``: nominal voltage, V.
    - ``minimum_load``, ``maximum_load``: range of the contracted loads, kW.
    - ``late_arrivals``: whether ``late_percent`` of the readings arrive ``late_minutes`` late.
    - ``seed``: another seed gives other readings.
    - ``profile``: ``uniform`` draws the values as the reference does. ``mixed`` has customers of several classes,
      whose load follows days, weeks, seasons and weather.
    - ``town``: where the customers of ``mixed`` are, and how many are in each class.
    - ``delivery``: how many readings have arrived after some times. None: all arrive on time or ``late_minutes`` late.

    Raises ``ValueError`` for a value out of range. The message names the parameter.
    """

    interval_minutes: int = 5
    devices: int = 50_000
    devices_per_batch: int = 10_000
    voltage: float = 220
    minimum_load: float = 5
    maximum_load: float = 20
    late_arrivals: bool = False
    late_percent: float = 10
    late_minutes: int = 1440
    seed: int = 0
    profile: str = "uniform"
    town: Town = DEFAULT_TOWN
    delivery: DeliveryCurve | None = None

    def __post_init__(self) -> None:
        if self.interval_minutes < 1 or MINUTES_PER_DAY % self.interval_minutes:
            raise ValueError(
                f"interval: {self.interval_minutes} is not a number of minutes that divides a day (1440)."
            )
        for name, number in (
            ("devices", self.devices),
            ("devices-per-batch", self.devices_per_batch),
            ("late-minutes", self.late_minutes),
        ):
            if number < 1:
                raise ValueError(f"{name}: {number} is not at least 1.")
        if self.voltage <= 0:
            raise ValueError(f"voltage: {self.voltage:g} is not greater than 0.")
        if self.minimum_load < 0:
            raise ValueError(f"minimum-load: {self.minimum_load:g} is less than 0.")
        if self.maximum_load < self.minimum_load:
            raise ValueError(
                f"maximum-load: {self.maximum_load:g} is less than minimum-load, {self.minimum_load:g}."
            )
        if not 0 <= self.late_percent <= 100:
            raise ValueError(f"late-percent: {self.late_percent:g} is not between 0 and 100.")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed: {self.seed} is not between 0 and 2^63-1.")
        if self.delivery and self.late_arrivals:
            raise ValueError("delivery: late arrivals are on too; choose one of them.")
        if self.profile not in PROFILES:
            raise ValueError(f"profile: {self.profile!r} is not one of {', '.join(PROFILES)}.")

    @property
    def interval(self) -> timedelta:
        """The time from one interval to the next."""
        return timedelta(minutes=self.interval_minutes)

    @property
    def delay(self) -> timedelta:
        """How long after its time a late reading arrives."""
        return timedelta(minutes=self.late_minutes)

    @property
    def has_registers(self) -> bool:
        """Whether readings have energy and registers. The reference's profile ``uniform`` has none."""
        return self.profile != "uniform"

    @cached_property
    def meters(self) -> Meters:
        """The fleet's meters, sorted by device id."""
        return _make_meters(self.devices, self.minimum_load, self.maximum_load)

    @cached_property
    def streams(self) -> Bits:
        """The random stream of each meter."""
        return meter_streams(self.seed, self.meters.number)

    def newest_interval(self, now: datetime) -> datetime:
        """Return the time of the last interval that is due at ``now``. Intervals are counted from midnight UTC."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + (now - midnight) // self.interval * self.interval

    def intervals(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the times of the intervals from ``start`` to ``end``, both inclusive, ascending."""
        time = self.newest_interval(start)
        if time < start:
            time += self.interval
        while time <= end:
            yield time
            time += self.interval


@dataclass(frozen=True)
class Meters:
    """Meters in order of device id: three columns of the same length. ``load`` is the contracted load in kW."""

    number: Bits
    device_id: pl.Series
    load: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.number)

    def slice(self, start: int, length: int) -> Meters:
        """Return at most ``length`` consecutive meters from index ``start``."""
        stop = start + length
        return Meters(
            self.number[start:stop], self.device_id.slice(start, length), self.load[start:stop]
        )

    def filter(self, mask: npt.NDArray[np.bool_]) -> Meters:
        """Return the meters for which ``mask`` is true."""
        return Meters(self.number[mask], self.device_id.filter(pl.Series(mask)), self.load[mask])


@cache
def _make_meters(devices: int, minimum_load: float, maximum_load: float) -> Meters:
    """Return meters 1 to ``devices``. Device id and load follow from the number by the reference's formulas.

    The device id is the UUID version 3 of the number. The load is the first uniform number of Python's
    generator with the number as its seed, rounded down to whole kW.
    """
    numbers = range(1, devices + 1)
    meters = pl.DataFrame(
        {
            "number": pl.Series(numbers, dtype=pl.UInt64),
            "device_id": [str(uuid.uuid3(uuid.NAMESPACE_OID, str(number))) for number in numbers],
            "load": [int(random.Random(n).uniform(minimum_load, maximum_load)) for n in numbers],  # noqa: S311 (the reference's own formula)
        },
        schema_overrides={"load": pl.Int64},
    ).sort("device_id")
    return Meters(meters["number"].to_numpy(), meters["device_id"], meters["load"].to_numpy())
