"""What every test shares."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from pytest_django.fixtures import Settings
from pythonjsonlogger.json import JsonFormatter

from headend.config.folders import create_folders
from readings.repositories import ReadingsRepository, open_repository

pytest_plugins = ["tests.services.fixtures", "tests.suppliers"]


@pytest.fixture(scope="session", autouse=True)
def state_folders() -> None:
    """Create the folders that ``manage.py setup`` creates."""
    create_folders(configured.FOLDERS)


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """SQLite in a file, as deployments have it.

    Django's choice, a database in memory that threads share, refuses who comes in another's way instead of letting it wait.
    """
    database = configured.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database["TEST"]["NAME"] = str(configured.HEADEND_HOME / "test.sqlite3")


@pytest.fixture
def store(settings: Settings, tmp_path: Path) -> ReadingsRepository:
    """An empty readings repository, the deployment's own for this test."""
    settings.READINGS_URL = f"delta://{tmp_path / 'readings'}"
    return open_repository(settings.READINGS_URL)


@pytest.fixture(autouse=True)
def plain_static_files(settings: Settings) -> None:
    """Static files by their own names: no test collects them."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the deployment's loggers have written since the test began, read back from their lines."""
    [handler] = [
        handler
        for handler in logging.getLogger("headend").handlers
        # pytest listens, too.
        if isinstance(handler.formatter, JsonFormatter)
    ]
    assert isinstance(handler, logging.StreamHandler)
    lines = io.StringIO()
    before = handler.setStream(lines)
    yield lambda: [json.loads(line) for line in lines.getvalue().splitlines()]
    handler.setStream(before or handler.stream)
