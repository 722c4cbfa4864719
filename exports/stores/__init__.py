"""The deployment's export store. The scheme of ``EXPORTS_URL`` selects the implementation."""

from __future__ import annotations

from django.core.files.storage import FileSystemStorage, storages

from exports.stores.base import ExportStore, FileDamagedError, FileMissingError, Piece, StoredPart
from exports.stores.disk import DiskStore

__all__ = [
    "ExportStore",
    "FileDamagedError",
    "FileMissingError",
    "Piece",
    "StoredPart",
    "export_store",
]


def export_store() -> ExportStore:
    """Return the export store on top of Django's storage ``STORAGES["exports"]``."""
    storage = storages["exports"]
    if isinstance(storage, FileSystemStorage):
        return DiskStore(storage)
    # Imported here because boto3 takes half a second to import, and a deployment on a disk does not need it.
    from storages.backends.s3 import S3Storage

    from exports.stores.s3 import S3Store

    assert isinstance(storage, S3Storage)
    return S3Store(storage)
