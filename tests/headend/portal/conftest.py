"""Fixtures of every portal test: a small simulated fleet and a separate export store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from pytest_django.fixtures import Settings

from headend.monitoring import health
from readings.models import IntervalTotals
from readings.repositories import ReadingsRepository
from readings.simulation.arrivals import readings_for
from readings.simulation.fleet import Fleet
from readings.totals import update_totals

METERS = 100
FLEET = Fleet(devices=METERS)
FIRST_METER = FLEET.meters.device_id[0]
FIVE_MINUTES = timedelta(minutes=5)
HOUR_START = datetime(2023, 2, 27, 16, tzinfo=UTC)
"""The first interval of :func:`stored_hour`."""


@pytest.fixture(autouse=True)
def small_fleet(settings: Settings, exports_folder: Path) -> None:
    """Simulate :data:`METERS` meters without late readings; each test gets an empty export store."""
    settings.SIMULATION_DEVICES = METERS


@pytest.fixture(autouse=True)
def usable_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all services usable for the overview: tests do not create the repository of the settings."""
    monkeypatch.setattr(health, "readiness", health.Readiness())


@pytest.fixture
def stored_hour(store: ReadingsRepository) -> None:
    """Store twelve intervals of the fleet's readings, and their totals."""
    store.write(pl.concat(hour_of_readings()))
    update_totals(store.snapshot())


@cache
def hour_of_readings() -> list[pl.DataFrame]:
    """Return the readings of twelve intervals, a frame for each."""
    end = HOUR_START + 11 * FIVE_MINUTES
    return [readings_for(FLEET, time) for time in FLEET.intervals(HOUR_START, end)]


def store_totals(
    start: datetime, count: int, step: timedelta = FIVE_MINUTES, **values: float
) -> None:
    """Store the totals of consecutive intervals; ``values`` replace the defaults."""
    fields = {"readings": METERS, "late": 0, "kw": 10.0} | values
    IntervalTotals.objects.bulk_create(
        IntervalTotals(time=start + n * step, **fields) for n in range(count)
    )
