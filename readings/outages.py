"""Which errors come from a disk, the database or the repository, and not from a bug."""

from __future__ import annotations

from headend.config.database_errors import is_database_outage
from readings.repository_errors import RepositoryUnavailableError


def is_outage(error: BaseException) -> bool:
    """Return whether the error comes from a disk or a service, and not from a bug, so that a traceback tells nothing."""
    return isinstance(error, OSError | RepositoryUnavailableError) or is_database_outage(error)
