"""Settings and fixtures for all tests."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.template.base import Template
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django.fixtures import Settings

from exports.leases import heartbeat
from headend.config.folders import create_folders
from readings.repositories import ReadingsRepository, open_repository, open_store

pytest_plugins = ["tests.loopback", "tests.services.fixtures", "tests.suppliers"]


def pytest_configure(config: pytest.Config) -> None:
    """Change the settings that no test depends on."""
    # The default hasher takes a tenth of a second of processor time for each user and each login.
    configured.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Static files have their own names, because the tests do not collect them.
    configured.STORAGES = {
        **configured.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    # No test may fail because the machine is slow. `make test` tries more random inputs than `make check`.
    hypothesis_settings.register_profile(
        "any speed",
        deadline=None,
        max_examples=20 if config.option.fast else 100,
        suppress_health_check=[HealthCheck.too_slow],
    )
    hypothesis_settings.load_profile("any speed")


@pytest.fixture(scope="session", autouse=True)
def state_folders() -> None:
    """Create the folders that ``manage.py setup`` creates."""
    create_folders(configured.FOLDERS)


@pytest.fixture(scope="session", autouse=True)
def plain_templates(django_test_environment: None) -> Iterator[None]:
    """Render templates as in a deployment.

    Django's tests also record each rendered template with a copy of its context. No test reads this record.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", lambda self, context: self.nodelist.render(context))
        yield


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """Restore the umask after a test that runs the start of a process."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session", autouse=True)
def no_renewals_from_another_thread() -> Iterator[None]:
    """Renew no lease while a test runs a step.

    The thread of the heartbeat has its own connection, which does not see the rows of the test's transaction. A step
    that takes longer than a second, on a busy machine, would lose its lease.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heartbeat, "RENEW_SECONDS", 3600.0)
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Give each process of pytest-xdist a database, and store SQLite's in a file, as deployments do.

    Django's default for tests is a database in memory that threads share. It raises an error if two threads write at
    the same time; a file lets the second one wait.
    """
    database = configured.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database["TEST"]["NAME"] = str(configured.HEADEND_HOME / "test.sqlite3")


@pytest.fixture
def store(settings: Settings, tmp_path: Path) -> ReadingsRepository:
    """Return an empty readings repository, which the settings name too."""
    settings.READINGS_URL = f"delta://{tmp_path / 'readings'}"
    open_store(settings.READINGS_URL).create()
    return open_repository(settings.READINGS_URL)


@pytest.fixture
def log_lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return a function that returns the log lines since the start of the test, as dictionaries.

    Use this instead of ``caplog``. pytest's plugin ``logging`` is off: three times in each test, it adds handlers to each
    logger that does not propagate.
    """
    [handler] = logging.getLogger("headend").handlers
    assert isinstance(handler, logging.StreamHandler)
    lines = io.StringIO()
    before = handler.setStream(lines)
    yield lambda: [json.loads(line) for line in lines.getvalue().splitlines()]
    handler.setStream(before or handler.stream)
