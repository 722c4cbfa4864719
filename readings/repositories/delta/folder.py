"""The folder of a Delta table: on a disk, or a prefix of the keys in a bucket.

The modules of this package read and write files through a :class:`Folder`, so they do not know where the table is. A
file has a *name* in the folder, such as ``_minutes/x.parquet``, and a *path*, by which Polars and Delta find it.
"""

from __future__ import annotations

import logging
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable, Schema

from readings.repository_errors import RepositoryUnavailableError

log = logging.getLogger(__name__)


class Folder(ABC):
    """The folder of one table. Equal folders are the same place, so results can be cached by folder.

    Every method can raise ``OSError``; a missing file is a ``FileNotFoundError``. A folder in a bucket also raises
    errors of the libraries.
    """

    recheck_seconds: float
    """For this long, :meth:`DeltaRepository.recent_snapshot` does not look for a newer version of the table."""

    reads_ahead: int
    """How many frames are read before they are needed. It is larger where a call takes longer."""

    @property
    @abstractmethod
    def uri(self) -> str:
        """The path of the folder itself."""

    @property
    def credentials(self) -> Hashable:
        """The credentials with which :meth:`table` opens a table. When they change, it must be opened again."""
        return None

    @property
    def options(self) -> dict[str, str] | None:
        """The options with which Delta opens the folder."""
        return None

    def table(self, version: int | None = None) -> DeltaTable:
        """Open the table at its newest version, or at another one. Raises ``OSError`` and ``DeltaError``."""
        return DeltaTable(self.uri, version=version, storage_options=self.options)

    def create_table(
        self, schema: Schema, partition_by: str, configuration: dict[str, str | None]
    ) -> DeltaTable:
        """Create the table if it does not exist, and open it. Raises ``OSError`` and ``DeltaError``."""
        return DeltaTable.create(
            self.uri,
            schema,
            mode="ignore",
            partition_by=[partition_by],
            configuration=configuration,
            storage_options=self.options,
        )

    def path(self, name: str) -> str:
        """Return the path of a file."""
        return f"{self.uri}/{name}"

    @abstractmethod
    def scan(self, paths: Iterable[str], **options: Any) -> pl.LazyFrame:
        """Return the rows of Parquet files. A ``*`` or ``[`` in a path is part of the name, not a pattern.

        ``options`` are those of ``pl.scan_parquet``.
        """

    @abstractmethod
    def identities(self, names: Sequence[str]) -> list[Hashable]:
        """Return a value for each file that changes when the file is replaced; None for a missing file."""

    @abstractmethod
    def existing(self, names: Iterable[str]) -> set[str]:
        """Return which of the files exist. All of them must be in one folder."""

    @abstractmethod
    def read(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the content of each file, or None if it is missing."""

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Write a file. Other processes see all of it or nothing, even if this process is killed."""

    @abstractmethod
    def put_frame(self, name: str, rows: pl.DataFrame, **options: Any) -> None:
        """Write a Parquet file as :meth:`put` does. ``options`` are those of ``DataFrame.write_parquet``."""

    @abstractmethod
    def write_frame(self, name: str, rows: pl.DataFrame, **options: Any) -> int:
        """Write a Parquet file to which nothing refers yet, and return its size in bytes.

        It may be visible before it is complete, but it is deleted if it cannot be completed.
        """

    def check(self) -> None:  # noqa: B027 (not abstract: a disk needs no check)
        """Raise :class:`RepositoryUnavailableError` if two writers can both create the same file.

        A commit is such a file: one of two writers must fail, otherwise readings are lost.
        """

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder of this folder, without those in deeper folders."""

    @abstractmethod
    def remove(self, names: Iterable[str]) -> None:
        """Delete files. Missing files are not an error."""

    @abstractmethod
    def remove_older(self, names: Iterable[str], limit: float) -> int:
        """Delete those files that were last changed before ``limit``, in seconds since 1970. Return how many.

        A file that cannot be deleted, for example because another user owns it, is logged and stays.
        """


@dataclass(frozen=True)
class DiskFolder(Folder):
    """A folder on a disk. It uses the calls of the operating system, which are faster than those of a library."""

    root: Path

    recheck_seconds = 0.0
    reads_ahead = 1

    @property
    def uri(self) -> str:
        """See :attr:`Folder.uri`."""
        return str(self.root)

    def create_table(
        self, schema: Schema, partition_by: str, configuration: dict[str, str | None]
    ) -> DeltaTable:
        """See :meth:`Folder.create_table`. The parent of the folder must exist."""
        try:
            self.root.mkdir(exist_ok=True)
        except FileNotFoundError:
            raise RepositoryUnavailableError(
                f"The table {self.root} cannot be created, because the folder {self.root.parent} does not exist."
                " Create the folder, or correct the URL."
            ) from None
        return super().create_table(schema, partition_by, configuration)

    def scan(self, paths: Iterable[str], **options: Any) -> pl.LazyFrame:
        """See :meth:`Folder.scan`."""
        return pl.scan_parquet(list(paths), glob=False, **options)

    def identities(self, names: Sequence[str]) -> list[Hashable]:
        """See :meth:`Folder.identities`. The inode and the time of the last change."""
        return [_identity(self.root / name) for name in names]

    def existing(self, names: Iterable[str]) -> set[str]:
        """See :meth:`Folder.existing`."""
        return {name for name in names if (self.root / name).exists()}

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        """See :meth:`Folder.read`."""
        return [_read(self.root / name) for name in names]

    def put(self, name: str, content: bytes) -> None:
        """See :meth:`Folder.put`."""
        self._put(name, lambda temporary: temporary.write_bytes(content))

    def put_frame(self, name: str, rows: pl.DataFrame, **options: Any) -> None:
        """See :meth:`Folder.put_frame`."""
        self._put(name, lambda temporary: rows.write_parquet(temporary, **options))

    def write_frame(self, name: str, rows: pl.DataFrame, **options: Any) -> int:
        """See :meth:`Folder.write_frame`."""
        file = self.root / name
        file.parent.mkdir(exist_ok=True)
        try:
            rows.write_parquet(file, **options)
            return file.stat().st_size
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def names(self, folder: str) -> list[str]:
        """See :meth:`Folder.names`."""
        try:
            return [f"{folder}/{file.name}" for file in (self.root / folder).iterdir()]
        except FileNotFoundError:
            return []

    def remove(self, names: Iterable[str]) -> None:
        """See :meth:`Folder.remove`."""
        for name in names:
            (self.root / name).unlink(missing_ok=True)

    def remove_older(self, names: Iterable[str], limit: float) -> int:
        """See :meth:`Folder.remove_older`."""
        return sum(_remove_if_older(self.root / name, limit) for name in names)

    def _put(self, name: str, write: Callable[[Path], object]) -> None:
        """Let ``write`` write a temporary file, and then give it this name. After an error it is deleted."""
        file = self.root / name
        file.parent.mkdir(exist_ok=True)
        temporary = file.parent / f".{uuid.uuid4()}"
        try:
            write(temporary)
            temporary.replace(file)
        except BaseException:
            # The disk may be full.
            temporary.unlink(missing_ok=True)
            raise


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


def _remove_if_older(file: Path, limit: float) -> bool:
    try:
        if file.stat().st_mtime >= limit:
            return False
        file.unlink()
    except FileNotFoundError:  # another process was faster
        return False
    except OSError as error:
        log.warning("an unused file cannot be deleted", extra={"error": str(error)})
        return False
    return True
