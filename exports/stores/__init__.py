"""The deployment's place for export files, chosen by the scheme of ``EXPORTS_URL``."""

from __future__ import annotations

from django.core.files.storage import FileSystemStorage, storages

from exports.stores.base import ExportStore, FileMissingError, Piece, StoredPart
from exports.stores.disk import DiskStore

__all__ = ["ExportStore", "FileMissingError", "Piece", "StoredPart", "export_store"]


def export_store() -> ExportStore:
    """The store over ``STORAGES["exports"]``."""
    storage = storages["exports"]
    if isinstance(storage, FileSystemStorage):
        return DiskStore(storage)
    # boto3 costs half a second to import; a deployment on a disk does without.
    from storages.backends.s3 import S3Storage

    from exports.stores.s3 import S3Store

    assert isinstance(storage, S3Storage)
    return S3Store(storage)
