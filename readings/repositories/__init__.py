"""The repositories, by the scheme of their URL."""

from __future__ import annotations

from functools import cache

from readings.repositories.base import (
    Page,
    ReadingsRepository,
    RepositoryUnavailableError,
    Snapshot,
)

__all__ = ["Page", "ReadingsRepository", "RepositoryUnavailableError", "Snapshot", "repository"]


@cache
def open_repository(url: str) -> ReadingsRepository:
    """The repository that ``url`` names, one object a process.

    Raises ``ValueError`` for a scheme that no repository serves.
    """
    # Imported on use: a deployment loads the client library of its own store and no other.
    from readings.repositories.delta.repository import DeltaRepository

    scheme, _, rest = url.partition("://")
    if scheme == "delta":
        return DeltaRepository(rest)
    raise ValueError(f"{scheme}:// names no readings repository.")


def repository() -> ReadingsRepository:
    """The repository of this deployment, as ``READINGS_URL`` names it."""
    from django.conf import settings

    return open_repository(settings.READINGS_URL)
