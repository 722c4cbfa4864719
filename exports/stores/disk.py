"""The export store in a folder on a disk, which several hosts may share."""

from __future__ import annotations

import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from io import BufferedReader
from pathlib import Path

from django.core.files.storage import FileSystemStorage

from exports.stores.base import ExportStore, FileMissingError, OnBlock, Piece, StoredPart
from exports.stores.durable_file import DurableFile, durable_file
from readings.computed_ahead import computed_ahead

_BLOCK_BYTES = 1 << 20
_BLOCKS_AHEAD = 4
"""How many blocks may be copied before ``on_block`` gets them."""
_UNFINISHED = ".parts"


class DiskStore(ExportStore):
    """The store for ``file:///folder``."""

    def __init__(self, storage: FileSystemStorage) -> None:
        self._storage = storage
        self._root = Path(storage.location)

    def put_part(self, name: str, blocks: Iterable[bytes]) -> StoredPart:
        """See :meth:`ExportStore.put_part`."""
        with durable_file(self._new_path(name)) as file:
            size = sum(file.write(block) for block in blocks)
        return StoredPart(name, size)

    def join(
        self, location: str, pieces: Sequence[Piece], *, attempt: str, on_block: OnBlock
    ) -> None:
        """See :meth:`ExportStore.join`. A rename makes the complete file visible."""
        final = self._root / location
        temporary = self._new_path(f"{final.parent.name}/whole-{attempt}")
        with durable_file(temporary) as file:
            # The checksum takes as long as the copy, and both release the GIL. So another thread copies.
            for block in computed_ahead(self._copied(pieces, file), count=_BLOCKS_AHEAD):
                on_block(block)
        final.parent.mkdir(exist_ok=True)
        temporary.replace(final)

    def size(self, location: str) -> int:
        """See :meth:`ExportStore.size`."""
        try:
            status = self._path(location).stat()
        except (FileNotFoundError, NotADirectoryError):
            raise FileMissingError from None
        if not stat.S_ISREG(status.st_mode):
            raise FileMissingError
        return status.st_size

    def open(self, location: str, size: int) -> BufferedReader:
        """See :meth:`ExportStore.open`."""
        try:
            return self._path(location).open("rb")
        except FileNotFoundError:
            raise FileMissingError from None

    def presigned_url(self, location: str, media_type: str, valid_for: timedelta) -> None:
        """Return None: a disk serves no files."""

    def unfinished_requests(self) -> Iterator[uuid.UUID]:
        """See :meth:`ExportStore.unfinished_requests`."""
        folder = self._root / _UNFINISHED
        for entry in folder.iterdir() if folder.is_dir() else ():
            # Other programs create files such as .DS_Store and lost+found in every folder.
            with suppress(ValueError):
                yield uuid.UUID(entry.name)

    def delete_unfinished(self, request: uuid.UUID) -> None:
        """See :meth:`ExportStore.delete_unfinished`."""
        _delete_folder(self._root / _UNFINISHED / str(request))

    def delete_files(self, request: uuid.UUID, *, keep: str | None = None) -> None:
        """See :meth:`ExportStore.delete_files`."""
        folder = self._root / str(request)
        if keep is None:
            _delete_folder(folder)
        elif folder.is_dir():
            for file in folder.iterdir():
                if file != self._root / keep and file.is_file():
                    file.unlink(missing_ok=True)

    def probe(self) -> None:
        """Write a small file and delete it, because only a write shows whether a disk is writable.

        Raises ``OSError``, for example if the folder is missing. It is not created: its disk may not be mounted.
        """
        path = self._root / f".probe-{uuid.uuid4()}"
        with durable_file(path) as file:
            file.write(b"headend")
        path.unlink()

    def _path(self, location: str) -> Path:
        """Return the path of a file. Raises :class:`FileMissingError` if a part of it is a symbolic link."""
        if Path(self._storage.path(location)).resolve() != self._root.resolve() / location:
            raise FileMissingError
        return self._root / location

    def _new_path(self, name: str) -> Path:
        """Return the path of a part or an incomplete file, and create its folder."""
        path = self._root / _UNFINISHED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _copied(self, pieces: Sequence[Piece], file: DurableFile) -> Iterator[bytes]:
        """Copy the pieces into the file, and yield their blocks."""
        for block in self._blocks(pieces):
            file.write(block)
            yield block

    def _blocks(self, pieces: Sequence[Piece]) -> Iterator[bytes]:
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            with (self._root / _UNFINISHED / piece.name).open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    yield block


def _delete_folder(folder: Path) -> None:
    # Another worker may delete the same folder at the same time.
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
