"""Checks before a process of the Procfile starts.

Without them, a process with a wrong password or an old schema would start, and fail only at its first request or task.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from headend.deployment import bootstrap
from headend.deployment.schema import refuse_other_schema
from readings.described_table import refuse_other_table
from readings.repositories import repository
from readings.repository_errors import RepositoryUnavailableError


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
