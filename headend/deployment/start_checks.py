"""Checks before a process of the Procfile starts.

Without them, a process with a wrong password or an old schema would start, and fail only at its first request or task.
"""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from headend.config.program import SET_UP_HOST
from headend.deployment import bootstrap
from headend.deployment.schema import refuse_other_schema
from headend.deployment.static_files import static_files_are_collected
from readings.described_table import refuse_other_table
from readings.repositories import repository
from readings.repository_errors import RepositoryUnavailableError

NO_STATIC_FILES = "the static files of this release are missing"


def refuse_host_without_setup(name: str) -> None:
    """Raise ``ImproperlyConfigured`` if ``setup`` has not run on this host, and the process ``name`` needs it.

    A host that was added to a deployment has a new home folder. Web processes also need the static files in it.
    """
    if not settings.HEADEND_HOME.is_dir():
        raise ImproperlyConfigured(
            f"HEADEND_HOME: {settings.HEADEND_HOME} does not exist. {SET_UP_HOST}"
        )
    if name == "web" and not static_files_are_collected():
        raise ImproperlyConfigured(f"HEADEND_STATIC_ROOT: {NO_STATIC_FILES}. {SET_UP_HOST}")


def refuse_unusable_services() -> None:
    """Raise ``ImproperlyConfigured`` if the database, the secrets, the broker or a store cannot be used.

    The database must have the schema of this release. Nothing is created. Raises the database's error if it cannot be
    reached, and ``OSError`` if a folder cannot be used.
    """
    refuse_other_schema()
    bootstrap.check_secrets()
    bootstrap.check_broker()
    bootstrap.check_export_store()
    try:
        refuse_other_table(repository())
        repository().probe()
    except RepositoryUnavailableError as error:
        raise ImproperlyConfigured(f"READINGS_URL: {error}") from error
    connection.close()
