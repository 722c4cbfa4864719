"""What every test shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from readings.repositories import ReadingsRepository, open_repository


@pytest.fixture
def store(settings: Settings, tmp_path: Path) -> ReadingsRepository:
    """An empty readings repository, the deployment's own for this test."""
    settings.READINGS_URL = f"delta://{tmp_path / 'readings'}"
    return open_repository(settings.READINGS_URL)
