"""The fleet: which meters there are and when they send. Parameters are the reference generator's."""

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

from readings.simulation.random_numbers import Bits

MINUTES_A_DAY = 1440


@dataclass(frozen=True)
class Fleet:
    """A simulated fleet; names and defaults are those of the reference's Device Data Generator.

    ``voltage`` in V, loads in kW, ``late_percent`` of the meters send an interval
    ``late_minutes`` late when ``late_arrivals`` is on. Raises ``ValueError`` for values that make no
    fleet.
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

    def __post_init__(self) -> None:
        if self.interval_minutes < 1 or MINUTES_A_DAY % self.interval_minutes:
            raise ValueError(
                f"interval: {self.interval_minutes} is no whole number of minutes that divides a day."
            )
        if self.devices < 1 or self.devices_per_batch < 1:
            raise ValueError("devices and devices per batch: at least 1.")
        if self.voltage <= 0:
            raise ValueError("voltage: greater than 0.")
        if not 0 <= self.minimum_load <= self.maximum_load:
            raise ValueError("minimum load: 0 or more, and not greater than maximum load.")
        if not 0 <= self.late_percent <= 100 or self.late_minutes < 1:
            raise ValueError("late percent: 0 to 100; late minutes: at least 1.")
        if not 0 <= self.seed < 2**63:
            raise ValueError("seed: 0 to 2^63-1.")

    @property
    def interval(self) -> timedelta:
        """From one interval's time to the next."""
        return timedelta(minutes=self.interval_minutes)

    @property
    def delay(self) -> timedelta:
        """How long after its time a late reading arrives."""
        return timedelta(minutes=self.late_minutes)

    @cached_property
    def meters(self) -> Meters:
        """The fleet's meters, in order of their device ids."""
        return meters_of(self.devices, self.minimum_load, self.maximum_load)

    def newest_interval(self, now: datetime) -> datetime:
        """The time of the last interval that is due at ``now``."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + (now - midnight) // self.interval * self.interval

    def intervals(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """The interval times from ``start`` to ``end``, both included, ascending."""
        time = self.newest_interval(start)
        if time < start:
            time += self.interval
        while time <= end:
            yield time
            time += self.interval


@dataclass(frozen=True)
class Meters:
    """The meters of a fleet in order of device id: three columns of the same length."""

    number: Bits
    device_id: pl.Series
    load: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.number)

    def slice(self, start: int, length: int) -> Meters:
        """Some meters in a row."""
        stop = start + length
        return Meters(
            self.number[start:stop], self.device_id.slice(start, length), self.load[start:stop]
        )

    def where(self, wanted: npt.NDArray[np.bool_]) -> Meters:
        """The meters that a mask picks."""
        return Meters(
            self.number[wanted], self.device_id.filter(pl.Series(wanted)), self.load[wanted]
        )


@cache
def meters_of(devices: int, minimum_load: float, maximum_load: float) -> Meters:
    """Meters number 1 to ``devices``: id and contracted load as the reference derives them from the number."""
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
