"""The deployment's export store. The scheme of ``EXPORTS_URL`` selects the implementation."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import FileSystemStorage, Storage, storages

from exports.stores.base import ExportStore, FileDamagedError, FileMissingError, Piece, StoredPart
from exports.stores.disk import DiskStore

__all__ = [
    "ExportStore",
    "FileDamagedError",
    "FileMissingError",
    "Piece",
    "StoredPart",
    "export_store",
    "export_store_of",
]


def export_store() -> ExportStore:
    """Return the export store on top of Django's storage ``STORAGES["exports"]``."""
    return _store_on(storages["exports"])


def export_store_of(storage: dict[str, Any]) -> ExportStore:
    """Return the export store on top of another storage, which is described as in ``STORAGES``."""
    return _store_on(storages.create_storage(storage))


def _store_on(storage: Storage) -> ExportStore:
    if isinstance(storage, FileSystemStorage):
        return DiskStore(storage)
    # Imported here because boto3 takes half a second to import, and a deployment on a disk does not need it.
    from storages.backends.s3 import S3Storage

    from exports.stores.s3 import S3Store

    assert isinstance(storage, S3Storage)
    return S3Store(storage)
