"""Readings repositories: one implementation per scheme of ``READINGS_URL``."""

from __future__ import annotations

from functools import cache
from urllib.parse import unquote

from readings.repositories.base import (
    Extract,
    Page,
    ReadingsRepository,
    Snapshot,
)
from readings.repositories.store import NotOnlyReadingsError, Store
from readings.repository_errors import ReadingsRefusedError, RepositoryUnavailableError

__all__ = [
    "Extract",
    "NotOnlyReadingsError",
    "Page",
    "ReadingsRefusedError",
    "ReadingsRepository",
    "RepositoryUnavailableError",
    "Snapshot",
    "Store",
    "open_repository",
    "open_store",
    "repository",
]


@cache
def open_repository(url: str) -> ReadingsRepository:
    """Return the repository at ``url``. A process has one object per URL.

    Raises ``ValueError`` if no repository has this scheme, or if the URL is not valid for it. The folder of a
    ``delta://`` URL is not checked here: the settings check it.
    """
    # Imported here: a deployment loads only the client library of the engine that it uses.
    scheme, _, rest = url.partition("://")
    if scheme == "delta":
        from readings.repositories.delta.repository import DeltaRepository

        return DeltaRepository(unquote(rest))
    if scheme == "delta+s3":
        # Imports boto3, which takes half a second.
        from readings.repositories.delta.address import Address as BucketAddress
        from readings.repositories.delta.bucket import BucketFolder
        from readings.repositories.delta.repository import DeltaRepository

        return DeltaRepository(BucketFolder(BucketAddress.of(url)))
    if scheme == "clickhouse":
        from readings.repositories.clickhouse.address import Address as ClickHouseAddress
        from readings.repositories.clickhouse.repository import ClickHouseRepository

        return ClickHouseRepository(ClickHouseAddress.of(url))
    if scheme == "timestream":
        from readings.repositories.timestream.address import Address
        from readings.repositories.timestream.repository import TimestreamRepository

        return TimestreamRepository(Address.of(url))
    raise ValueError(f"{scheme}:// is not a scheme of a readings repository.")


def open_store(url: str) -> Store:
    """Return the store of the repository at ``url``. The store need not exist.

    Raises ``ValueError`` as :func:`open_repository` does.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "delta":
        from readings.repositories.delta.store import DeltaStore

        return DeltaStore(unquote(rest))
    if scheme == "delta+s3":
        from readings.repositories.delta.address import Address as BucketAddress
        from readings.repositories.delta.bucket_store import BucketStore

        return BucketStore(BucketAddress.of(url))
    if scheme == "clickhouse":
        from readings.repositories.clickhouse.address import Address as ClickHouseAddress
        from readings.repositories.clickhouse.store import ClickHouseStore

        return ClickHouseStore(ClickHouseAddress.of(url))
    if scheme == "timestream":
        from readings.repositories.timestream.address import Address
        from readings.repositories.timestream.store import TimestreamStore

        return TimestreamStore(Address.of(url))
    raise ValueError(f"{scheme}:// is not a scheme of a readings repository.")


def repository() -> ReadingsRepository:
    """Return the repository of this deployment, from the setting ``READINGS_URL``."""
    from django.conf import settings

    return open_repository(settings.READINGS_URL)
