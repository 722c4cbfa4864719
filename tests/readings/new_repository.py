"""Create a repository for a test."""

from __future__ import annotations

from readings.repositories import ReadingsRepository, open_repository, open_store


def create_repository(url: str) -> ReadingsRepository:
    """Create the store at ``url`` if it is missing, and return its repository."""
    open_store(url).create()
    return open_repository(url)
