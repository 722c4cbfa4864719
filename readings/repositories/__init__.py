"""The repositories, by the scheme of their URL."""

from __future__ import annotations

from functools import cache

from readings.repositories.base import (
    Extract,
    Page,
    ReadingsRefusedError,
    ReadingsRepository,
    RepositoryUnavailableError,
    Snapshot,
)

__all__ = [
    "Extract",
    "Page",
    "ReadingsRefusedError",
    "ReadingsRepository",
    "RepositoryUnavailableError",
    "Snapshot",
    "repository",
]


@cache
def open_repository(url: str) -> ReadingsRepository:
    """The repository that ``url`` names, one object a process.

    Raises ``ValueError`` for a scheme that no repository serves, and a URL that it does not take.
    """
    # Imported on use: a deployment loads the client library of its own store and no other.
    scheme, _, rest = url.partition("://")
    if scheme == "delta":
        from readings.repositories.delta.repository import DeltaRepository

        return DeltaRepository(rest)
    if scheme == "timestream":
        from readings.repositories.timestream.address import Address
        from readings.repositories.timestream.repository import TimestreamRepository

        return TimestreamRepository(Address.of(url))
    raise ValueError(f"{scheme}:// names no readings repository.")


def repository() -> ReadingsRepository:
    """The repository of this deployment, as ``READINGS_URL`` names it."""
    from django.conf import settings

    return open_repository(settings.READINGS_URL)
