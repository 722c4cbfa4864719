"""A supplier's home as SFTP shows it, made from the database; knows no SSH.

``/`` holds a folder for each completed request, each folder its one file. What else may
lie on the disk does not exist here, so no path can lead out.
"""

from __future__ import annotations

import posixpath
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from django.db.models import QuerySet

from exports.delivery.files import open_file
from exports.models import FileRequest, Status, Supplier
from exports.stores import FileMissingError


class NothingThereError(Exception):
    """The path leads to nothing of this supplier's."""


class NotAFileError(Exception):
    """The path leads to a folder where a file is wanted, or the other way round."""


@dataclass(frozen=True)
class Entry:
    """A file or a folder; size in bytes."""

    name: str
    is_folder: bool
    size: int
    modified: datetime


@dataclass(frozen=True)
class Home:
    """The home of one supplier. Every look goes to the database, so a withdrawn supplier sees nothing."""

    supplier_id: int

    def entry(self, path: str) -> Entry:
        """What lies at ``path``. Raises :class:`NothingThereError`."""
        match _names(path):
            case []:
                requests = list(self._requests()[:1])
                return _folder("/", requests[0].finished_at if requests else None)
            case [folder]:
                request = self._request(folder)
                return _folder(folder, request.finished_at)
            case [folder, name]:
                return _file(self._request(folder, name))
        raise NothingThereError

    def entries(self, path: str) -> list[Entry]:
        """What a folder holds. Raises :class:`NothingThereError` and :class:`NotAFileError`."""
        match _names(path):
            case []:
                return [_folder(str(r.pk), r.finished_at) for r in self._requests()]
            case [folder]:
                return [_file(self._request(folder))]
            case [folder, name]:
                self._request(folder, name)
                raise NotAFileError
        raise NothingThereError

    def open(self, path: str) -> tuple[FileRequest, IO[bytes]]:
        """A file's request and bytes. Raises :class:`NothingThereError` and :class:`NotAFileError`."""
        match _names(path):
            case [folder, name]:
                request = self._request(folder, name)
                try:
                    return request, open_file(request)
                except FileMissingError:
                    raise NothingThereError from None
        self.entry(path)
        raise NotAFileError

    def _requests(self) -> QuerySet[FileRequest]:
        if not Supplier.objects.filter(pk=self.supplier_id, active=True).exists():
            raise NothingThereError
        return FileRequest.objects.filter(
            supplier=self.supplier_id, status=Status.COMPLETED, expired_at__isnull=True
        ).order_by("-finished_at")

    def _request(self, folder: str, name: str | None = None) -> FileRequest:
        try:
            request = self._requests().filter(pk=uuid.UUID(folder)).first()
        except ValueError:
            raise NothingThereError from None
        if request is None or folder != str(request.pk):
            raise NothingThereError
        if name is not None and request.location != f"{folder}/{name}":
            raise NothingThereError
        return request


def canonical(path: str) -> str:
    """The absolute path inside the home that ``path`` names; ``..`` ends at the home."""
    return posixpath.normpath(posixpath.join("/", path)).replace("//", "/")


def _names(path: str) -> list[str]:
    return [name for name in canonical(path).split("/") if name]


def _folder(name: str, modified: datetime | None) -> Entry:
    return Entry(
        name, is_folder=True, size=0, modified=modified or datetime.fromtimestamp(0).astimezone()
    )


def _file(request: FileRequest) -> Entry:
    assert request.size is not None  # the database's own rules for a completed request
    assert request.finished_at is not None
    name = request.location.partition("/")[2]
    return Entry(name, is_folder=False, size=request.size, modified=request.finished_at)
