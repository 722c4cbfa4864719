"""Export files on a disk; one that several hosts share will do."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, BinaryIO

from django.core.files.storage import FileSystemStorage

from exports.stores.base import ExportStore, FileMissingError, Look, Piece, StoredPart

_COPY_BYTES = 1 << 20
_UNFINISHED = ".parts"


class DiskStore(ExportStore):
    """The store behind ``file:///folder``."""

    def __init__(self, storage: FileSystemStorage) -> None:
        self._storage = storage
        self._root = Path(storage.location)

    def put_part(self, name: str, chunks: Iterable[bytes]) -> StoredPart:
        """See :meth:`ExportStore.put_part`."""
        with _new_file(self._root / _UNFINISHED / name) as file:
            size = sum(file.write(chunk) for chunk in chunks)
        return StoredPart(name, size)

    def join(self, location: str, pieces: Sequence[Piece], *, attempt: str, look: Look) -> None:
        """See :meth:`ExportStore.join`. One rename shows the file."""
        target = self._root / location
        aside = self._root / _UNFINISHED / target.parent.name / f"whole-{attempt}"
        with _new_file(aside) as file:
            for chunk in self._chunks(pieces):
                look(chunk)
                file.write(chunk)
        target.parent.mkdir(exist_ok=True)
        aside.replace(target)

    def open(self, location: str, size: int) -> IO[bytes]:
        """See :meth:`ExportStore.open`. A link that was planted in a file's place is not followed."""
        root = self._root.resolve()
        if Path(self._storage.path(location)).resolve() != root / location:
            raise FileMissingError
        try:
            return (self._root / location).open("rb")
        except FileNotFoundError:
            raise FileMissingError from None

    def presigned_url(self, location: str, media_type: str, good_for: timedelta) -> None:
        """A disk gives nothing out by itself."""

    def unfinished(self) -> Iterator[uuid.UUID]:
        """See :meth:`ExportStore.unfinished`."""
        folder = self._root / _UNFINISHED
        if folder.is_dir():
            yield from [uuid.UUID(entry.name) for entry in folder.iterdir()]

    def remove_unfinished(self, request: uuid.UUID) -> None:
        """See :meth:`ExportStore.remove_unfinished`."""
        _remove_folder(self._root / _UNFINISHED / str(request))

    def remove_files(self, request: uuid.UUID, *, but: str | None = None) -> None:
        """See :meth:`ExportStore.remove_files`."""
        folder = self._root / str(request)
        if but is None:
            _remove_folder(folder)
        elif folder.is_dir():
            for file in folder.iterdir():
                if file != self._root / but:
                    file.unlink(missing_ok=True)

    def probe(self) -> None:
        """Raises ``OSError``: whether a disk takes a file shows only when it is given one."""
        with _new_file(self._root / f".probe-{uuid.uuid4()}") as file:
            file.write(b"headend")
        Path(file.name).unlink()

    def _chunks(self, pieces: Sequence[Piece]) -> Iterator[bytes]:
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            with (self._root / _UNFINISHED / piece.name).open("rb") as file:
                while chunk := file.read(_COPY_BYTES):
                    yield chunk


def _remove_folder(folder: Path) -> None:
    # What is gone already was removed by another worker at the same time.
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A new file that is on the disk, not only in its cache, when the block ends well, and gone otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
