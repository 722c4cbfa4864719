"""Fixtures of every portal test: a small simulated fleet and an export store of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

METERS = 100


@pytest.fixture(autouse=True)
def small_fleet(settings: Settings, exports_folder: Path) -> None:
    """Simulate :data:`METERS` meters without late readings; each test gets an empty export store."""
    settings.SIMULATION_DEVICES = METERS
