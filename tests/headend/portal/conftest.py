"""Every test of the portal has a small simulated fleet and an exports folder that no other test uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

METERS = 100


@pytest.fixture(autouse=True)
def small_fleet(settings: Settings, exports_folder: Path) -> None:
    """Simulate 100 meters, without late arrivals."""
    settings.SIMULATION_DEVICES = METERS
