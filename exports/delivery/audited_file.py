"""The file of a completed request, and the record of each download of it.

SFTP and HTTP downloads both read through :class:`AuditedFile`, so every download is recorded
the same way: one row in the database and one log line.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from io import BufferedReader

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from exports.models import FetchWay, FileFetch, FileRequest
from exports.stores import FileDamagedError, FileMissingError, export_store
from headend.config.database_errors import first_line

log = logging.getLogger(__name__)

DAMAGED = "The stored file is damaged. Request it again."
"""The reason for which a damaged file is refused, for its supplier."""


@dataclass(frozen=True)
class Fetcher:
    """Who downloads a file, how, and from which address.

    ``name`` is the fingerprint of an SSH key, the name of a user, or ``link`` for a signed link.
    """

    way: FetchWay
    name: str
    address: str


def open_file(request: FileRequest) -> BufferedReader:
    """Return the request's file, open for reading, without recording a download.

    Raises :class:`FileDamagedError` if the file is damaged, and :class:`FileMissingError` if the request has no file or
    it expired.
    """
    if request.is_file_damaged:
        raise FileDamagedError(DAMAGED)
    if not request.has_file or request.size is None:
        raise FileMissingError
    return export_store().open(request.location, request.size)


class AuditedFile:
    """A completed request's file, open for one download.

    :meth:`close` records the download. The caller reports with :meth:`count_sent` what it sent,
    because only the protocol knows when a block that was read is sent.
    """

    def __init__(self, request: FileRequest, fetcher: Fetcher) -> None:
        """Open the file. Raises :class:`FileMissingError`."""
        self._file = open_file(request)
        assert request.size is not None  # open_file checks it
        self.request = request
        self.size = request.size
        self._fetcher = fetcher
        self._started_at = timezone.now()
        self._bytes_sent = 0

    def seek(self, offset: int) -> None:
        """Set the position of the next read. Raises ``OSError``, ``ValueError`` or ``OverflowError``."""
        self._file.seek(offset)

    def read(self, length: int) -> bytes:
        """Return up to ``length`` bytes; none at the end of the file. Raises ``OSError``."""
        return self._file.read(length)

    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer``, and return the number of bytes: less at the end of the file. Raises ``OSError``."""
        return self._file.readinto(buffer)

    def count_sent(self, count: int) -> None:
        """Add ``count`` bytes to the bytes sent."""
        self._bytes_sent += count

    def close(self) -> None:
        """Close the file and record the download, complete or partial. Only the first call has an effect."""
        if self._file.closed:
            return
        self._file.close()
        self._record()

    def discard(self) -> None:
        """Close the file without recording a download, because the answer contains no file."""
        self._file.close()

    def _record(self) -> None:
        ended_at = timezone.now()
        fetcher = self._fetcher
        log.info(
            "file fetched",
            extra={
                "request": str(self.request.pk),
                "way": fetcher.way.value,
                "who": fetcher.name,
                "peer": fetcher.address,
                "bytes_sent": self._bytes_sent,
                "bytes_whole": self.request.size,
                "seconds": round((ended_at - self._started_at).total_seconds(), 3),
            },
        )
        try:
            FileFetch.objects.create(
                request=self.request,
                way=fetcher.way,
                who=fetcher.name,
                peer=fetcher.address,
                bytes_sent=self._bytes_sent,
                started_at=self._started_at,
                ended_at=ended_at,
            )
        except (DatabaseError, InterfaceError) as error:
            # The client has its file. The log line above remains as the record.
            log.error(
                "the download could not be recorded",
                extra={"request": str(self.request.pk), "error": first_line(error)},
            )
