"""A completed request's file, opened for reading; nothing else is ever opened for a supplier."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from django.core.files.storage import FileSystemStorage, storages

from exports.models import FileRequest


class FileGoneError(Exception):
    """The request has no file, or what lies in its place is not it."""


def open_file(request: FileRequest) -> IO[bytes]:
    """The file's bytes. Raises :class:`FileGoneError`."""
    storage = storages["exports"]
    if not request.has_file:
        raise FileGoneError
    if isinstance(storage, FileSystemStorage) and not _lies_inside(storage, request.location):
        raise FileGoneError
    try:
        opened: IO[bytes] = storage.open(request.location, "rb")
    except FileNotFoundError:
        raise FileGoneError from None
    return opened


def _lies_inside(storage: FileSystemStorage, location: str) -> bool:
    """Whether the file is where its name says, and not wherever a planted link leads."""
    root = Path(storage.location).resolve()
    return Path(storage.path(location)).resolve() == root / location
