"""Readings repositories: one implementation per scheme of ``READINGS_URL``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote

from readings.repositories.base import Extract, ReadingsRepository, Snapshot
from readings.repositories.page import Page
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


@dataclass(frozen=True)
class _Place:
    """What a URL names. Nothing is opened before it is needed."""

    repository: Callable[[], ReadingsRepository]
    store: Callable[[], Store]


@cache
def open_repository(url: str) -> ReadingsRepository:
    """Return the repository at ``url``. A process has one object per URL. The table must exist.

    Raises ``ValueError`` if no repository has this scheme, or if the URL is not valid for it. The folder of a
    ``delta://`` URL is not checked here: the settings check it.
    """
    return _place(url).repository()


def open_store(url: str) -> Store:
    """Return the store of the repository at ``url``. The store need not exist.

    Raises ``ValueError`` as :func:`open_repository` does.
    """
    return _place(url).store()


def repository() -> ReadingsRepository:
    """Return the repository of this deployment, from the setting ``READINGS_URL``."""
    from django.conf import settings

    return open_repository(settings.READINGS_URL)


def _place(url: str) -> _Place:
    scheme = url.partition("://")[0]
    if scheme not in _PLACES:
        raise ValueError(f"{scheme}:// is not a scheme of a readings repository.")
    return _PLACES[scheme](url)


# An engine is imported when it is used. So a deployment loads the client library of one engine only.


def _folder(url: str) -> _Place:
    from readings.repositories.delta.repository import DeltaRepository
    from readings.repositories.delta.store import DeltaStore

    path = unquote(url.partition("://")[2])
    return _Place(lambda: DeltaRepository(path, creates=False), lambda: DeltaStore(path))


def _bucket(url: str) -> _Place:
    from readings.repositories.delta.address import BucketAddress
    from readings.repositories.delta.bucket import BucketFolder
    from readings.repositories.delta.bucket_store import BucketStore
    from readings.repositories.delta.repository import DeltaRepository

    address = BucketAddress.of(url)
    return _Place(
        lambda: DeltaRepository(BucketFolder(address), creates=False), lambda: BucketStore(address)
    )


def _clickhouse(url: str) -> _Place:
    from readings.repositories.clickhouse.address import ClickHouseAddress
    from readings.repositories.clickhouse.repository import ClickHouseRepository
    from readings.repositories.clickhouse.store import ClickHouseStore

    address = ClickHouseAddress.of(url)
    return _Place(lambda: ClickHouseRepository(address), lambda: ClickHouseStore(address))


def _timestream(url: str) -> _Place:
    from readings.repositories.timestream.address import TimestreamAddress
    from readings.repositories.timestream.repository import TimestreamRepository
    from readings.repositories.timestream.store import TimestreamStore

    address = TimestreamAddress.of(url)
    return _Place(lambda: TimestreamRepository(address), lambda: TimestreamStore(address))


_PLACES: dict[str, Callable[[str], _Place]] = {
    "delta": _folder,
    "delta+s3": _bucket,
    "clickhouse": _clickhouse,
    "timestream": _timestream,
}
"""How to open each engine, by the scheme of its URLs: the keys of ``readings.engines.ENGINES``."""
