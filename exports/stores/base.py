"""The interface of an export store. There is one implementation for each scheme of ``EXPORTS_URL``.

Parts and files are stored separately. A part's name contains the attempt that wrote it, so two
attempts never write the same part. A file appears complete under its final name, or not at all.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import BufferedReader

OnBlock = Callable[[bytes], None]
"""Called with every block of a file, in order, while the file is joined. It may raise to cancel the join."""


class FileMissingError(Exception):
    """The file does not exist, or something else is in its place."""


class FileDamagedError(FileMissingError):
    """The stored file is damaged, missing or unreadable. The message is for its supplier."""


@dataclass(frozen=True)
class StoredPart:
    """A part that :meth:`ExportStore.put_part` has stored; its size is in bytes."""

    name: str
    size: int


Piece = bytes | StoredPart
"""What a file is joined from: bytes in memory, or a stored part."""


def piece_size(piece: Piece) -> int:
    """Return the size of a piece in bytes."""
    return len(piece) if isinstance(piece, bytes) else piece.size


class ExportStore(ABC):
    """Stores parts and files. Names and locations are relative: ``<request id>/<name>``."""

    @abstractmethod
    def put_part(self, name: str, blocks: Iterable[bytes]) -> StoredPart:
        """Store the bytes as a part: completely or, if ``blocks`` raises, not at all."""

    @abstractmethod
    def join(
        self, location: str, pieces: Sequence[Piece], *, attempt: str, on_block: OnBlock
    ) -> None:
        """Join ``pieces`` to one file that appears at ``location`` when it is complete.

        ``attempt`` identifies the caller, because two workers may join the same file at the same time.
        Raises what ``on_block`` raises; then no file appears.
        """

    @abstractmethod
    def size(self, location: str) -> int:
        """Return the size of a file in bytes, as the store reports it. Raises :class:`FileMissingError`."""

    @abstractmethod
    def open(self, location: str, size: int) -> BufferedReader:
        """Open a file of ``size`` bytes. It is seekable, and never completely in memory.

        Raises :class:`FileMissingError`, at once or, on S3, at the first read.
        """

    @abstractmethod
    def presigned_url(self, location: str, media_type: str, valid_for: timedelta) -> str | None:
        """Return a URL at which the store itself serves the file, or None if it cannot serve files."""

    @abstractmethod
    def unfinished_requests(self) -> Iterator[uuid.UUID]:
        """Yield the ids of the requests that have parts or incomplete files in the store."""

    @abstractmethod
    def delete_unfinished(self, request: uuid.UUID) -> None:
        """Delete a request's parts and incomplete files."""

    @abstractmethod
    def delete_files(self, request: uuid.UUID, *, keep: str | None = None) -> None:
        """Delete a request's files, except the one at the location ``keep``."""

    def problem(self) -> str | None:
        """Return why the store cannot be used and what to do, without a full stop, or None if it can be used.

        Raises ``OSError`` if a folder cannot be used.
        """
        self.probe()
        return None

    @abstractmethod
    def probe(self) -> None:
        """Raise an error if the store cannot be used now."""
