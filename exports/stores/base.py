"""What a place for export files does. One implementation per ``EXPORTS_URL`` scheme.

Unfinished bytes lie apart from files, by request, under names of one attempt each. A file
appears whole, under its final name, or not at all.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

Look = Callable[[bytes], None]
"""Shown every byte of a file, in order, while it is joined; raises when it is no longer wanted."""


class FileMissingError(Exception):
    """There is no such file, or what lies in its place is not it."""


@dataclass(frozen=True)
class StoredPart:
    """Unfinished bytes that :meth:`ExportStore.put_part` keeps."""

    name: str
    size: int


Piece = bytes | StoredPart


class ExportStore(ABC):
    """Where parts wait and files lie. Names are relative: ``<request id>/<name>``."""

    @abstractmethod
    def put_part(self, name: str, chunks: Iterable[bytes]) -> StoredPart:
        """Keep the bytes as an unfinished part, whole or not at all."""

    @abstractmethod
    def join(self, location: str, pieces: Sequence[Piece], *, attempt: str, look: Look) -> None:
        """Make one file of ``pieces`` and show it under ``location``, whole.

        ``attempt`` keeps apart two that do this at once. Raises what ``look`` raises; then nothing shows.
        """

    @abstractmethod
    def open(self, location: str, size: int) -> IO[bytes]:
        """A file of ``size`` bytes, seekable, never held in memory whole. Raises :class:`FileMissingError`."""

    @abstractmethod
    def presigned_url(self, location: str, media_type: str, good_for: timedelta) -> str | None:
        """A link at which the store itself gives the file out; None where it has none."""

    @abstractmethod
    def unfinished(self) -> Iterator[uuid.UUID]:
        """The requests that something unfinished lies there for."""

    @abstractmethod
    def remove_unfinished(self, request: uuid.UUID) -> None:
        """Remove a request's parts, and what was being joined."""

    @abstractmethod
    def remove_files(self, request: uuid.UUID, *, but: str | None = None) -> None:
        """Remove a request's files; all of them, or all ``but`` one."""

    @abstractmethod
    def probe(self) -> None:
        """Raise if the store cannot be used now."""
