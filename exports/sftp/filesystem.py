"""A supplier's virtual filesystem, built from the database. Independent of SSH.

``/`` contains one folder for each completed request, and each folder contains the request's one file.
Other files on the disk do not exist here, so no path can lead outside.
"""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Count, Max, QuerySet, Sum

from exports import file_requests
from exports.delivery.audited_file import AuditedFile, Fetcher
from exports.models import HAS_FILE, FileRemoval, FileRequest, Supplier
from exports.stores import FileMissingError

BLOCK_ENTRIES = 256
"""Entries that are read from the database at once for a listing. They need about 70 KB of memory."""


class PathNotFoundError(Exception):
    """The supplier has no file or folder at this path."""


class RemovalNotAllowedError(Exception):
    """The supplier is not allowed to remove its files."""


class WrongFileTypeError(Exception):
    """The path names a folder where a file is required, or a file where a folder is required."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a folder. The size is in bytes, 0 for a folder."""

    name: str
    is_folder: bool
    size: int
    modified: datetime


@dataclass(frozen=True)
class Usage:
    """The number of files in a filesystem, and their size in bytes."""

    files: int
    size: int


@dataclass(frozen=True)
class SupplierFilesystem:
    """The files of one supplier.

    Every method queries the database. So a supplier that is deactivated during a session sees nothing more.
    """

    supplier_id: int

    def entry(self, path: str) -> Entry:
        """Return the file or folder at ``path``. Raises :class:`PathNotFoundError`."""
        match _names(path):
            case []:
                newest = self._requests().aggregate(finished_at=Max("finished_at"))
                return _folder_entry("/", newest["finished_at"])
            case [folder]:
                request = self._request(folder)
                return _folder_entry(folder, request.finished_at)
            case [folder, name]:
                return file_entry(self._request(folder, name))
        raise PathNotFoundError

    def list_folder(self, path: str) -> Listing:
        """Begin to list a folder. Raises :class:`PathNotFoundError` and :class:`WrongFileTypeError`."""
        match _names(path):
            case []:
                self._requests()  # raises the error of a deactivated supplier
                return Listing([], self._requests)
            case [folder]:
                return Listing([file_entry(self._request(folder))])
            case [folder, name]:
                self._request(folder, name)
                raise WrongFileTypeError
        raise PathNotFoundError

    def open(self, path: str, fetcher: Fetcher) -> AuditedFile:
        """Open a file for one download. Raises :class:`PathNotFoundError` and :class:`WrongFileTypeError`."""
        match _names(path):
            case [folder, name]:
                try:
                    return AuditedFile(self._request(folder, name), fetcher)
                except FileMissingError:
                    raise PathNotFoundError from None
        self.entry(path)
        raise WrongFileTypeError

    def remove(self, path: str, fetcher: Fetcher) -> None:
        """Remove a file. Its folder disappears with it.

        Raises :class:`PathNotFoundError`, :class:`WrongFileTypeError` and :class:`RemovalNotAllowedError`.
        """
        match _names(path):
            case [folder, name]:
                request = self._request(folder, name)
            case _:
                self.entry(path)
                raise WrongFileTypeError
        if not self._can_remove_files():
            raise RemovalNotAllowedError
        if not file_requests.remove_file(request, who=fetcher.name, peer=fetcher.address):
            raise PathNotFoundError

    def remove_folder(self, path: str) -> None:
        """Accept the removal of a folder that disappeared when the supplier removed its file.

        Clients that remove files remove the empty folder next. Raises :class:`RemovalNotAllowedError` for a
        folder that has a file, and :class:`PathNotFoundError`.
        """
        match _names(path):
            case [folder] if str(_uuid(folder)) == folder:
                removed = FileRemoval.objects.filter(
                    request=_uuid(folder), request__supplier=self.supplier_id
                )
                if self._can_remove_files() and removed.exists():
                    return
        self.entry(path)
        raise RemovalNotAllowedError

    def usage(self, path: str) -> Usage:
        """Return how much the supplier's filesystem contains. Raises :class:`PathNotFoundError`."""
        self.entry(path)
        return Usage(**self._requests().aggregate(files=Count("pk"), size=Sum("size", default=0)))

    def _can_remove_files(self) -> bool:
        return Supplier.objects.filter(
            pk=self.supplier_id, active=True, can_remove_files=True
        ).exists()

    def _requests(self) -> QuerySet[FileRequest]:
        if not Supplier.objects.filter(pk=self.supplier_id, active=True).exists():
            raise PathNotFoundError
        return FileRequest.objects.filter(HAS_FILE, supplier=self.supplier_id)

    def _request(self, folder: str, name: str | None = None) -> FileRequest:
        request = self._requests().filter(pk=_uuid(folder)).first()
        # uuid.UUID accepts other spellings, such as upper case. Only the listed name is a path.
        if request is None or folder != str(request.pk):
            raise PathNotFoundError
        if name is not None and request.location != f"{folder}/{name}":
            raise PathNotFoundError
        return request


class Listing:
    """The entries of a folder that are not listed yet.

    Those of the root folder are read from the database in blocks: its listing can be very long, and a supplier can have
    many of them open. A file that is completed, expires or is removed during the listing may or may not be listed. All
    other entries are listed exactly once.
    """

    def __init__(
        self, entries: list[Entry], requests: Callable[[], QuerySet[FileRequest]] | None = None
    ) -> None:
        """List ``entries``, and then a folder for each of the ``requests``, the newest first."""
        self._entries = entries
        self._requests = requests
        self._last: tuple[datetime, uuid.UUID] | None = None

    def next_block(self) -> list[Entry]:
        """Return the next entries, :data:`BLOCK_ENTRIES` at most, or none at the end.

        After an error of the database, the next call continues at the same entry. Raises :class:`PathNotFoundError` if
        the supplier was deactivated.
        """
        block, self._entries = self._entries, []
        if block or self._requests is None:
            return block
        requests = self._requests()
        if self._last is not None:
            queued_at, pk = self._last
            # The first condition is for the index, which has no column for the second one.
            requests = requests.filter(queued_at__lte=queued_at).exclude(
                queued_at=queued_at, pk__gte=pk
            )
        rows = list(
            requests.order_by("-queued_at", "-pk").values_list("queued_at", "pk", "finished_at")[
                :BLOCK_ENTRIES
            ]
        )
        if rows:
            self._last = rows[-1][:2]
        return [_folder_entry(str(pk), finished_at) for _, pk, finished_at in rows]


def canonical(path: str) -> str:
    """Return ``path`` as an absolute path without ``.`` and ``..``; ``..`` at the root stays at the root."""
    return posixpath.normpath(posixpath.join("/", path)).replace("//", "/")


def file_entry(request: FileRequest) -> Entry:
    """Return the entry of a completed request's file."""
    assert request.size is not None  # a database constraint for completed requests
    assert request.finished_at is not None
    name = request.location.partition("/")[2]
    return Entry(name, is_folder=False, size=request.size, modified=request.finished_at)


def _uuid(folder: str) -> uuid.UUID:
    """Return the id of the request that a folder is named after. Raises :class:`PathNotFoundError`."""
    try:
        return uuid.UUID(folder)
    except ValueError:
        raise PathNotFoundError from None


def _names(path: str) -> list[str]:
    return [name for name in canonical(path).split("/") if name]


def _folder_entry(name: str, modified: datetime | None) -> Entry:
    return Entry(name, is_folder=True, size=0, modified=modified or datetime.fromtimestamp(0, UTC))
