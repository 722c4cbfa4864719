"""A completed request's file, opened for reading; nothing else is ever opened for a supplier."""

from __future__ import annotations

from typing import IO

from exports.models import FileRequest
from exports.stores import FileMissingError, export_store


def open_file(request: FileRequest) -> IO[bytes]:
    """The file's bytes. Raises :class:`FileMissingError`."""
    if not request.has_file or request.size is None:
        raise FileMissingError
    return export_store().open(request.location, request.size)
