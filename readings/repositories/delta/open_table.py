"""A Delta table that stays open.

Opening a table reads its whole log: with a hundred commits this takes longer than a write. A table that stays open reads
only the commits that were made since.
"""

from __future__ import annotations

from pathlib import Path
from threading import local

import polars as pl
from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.schema import PrimitiveType

from readings import frame
from readings.repositories.delta.commit_log import Commit
from readings.repositories.delta.data_files import PARTITION
from readings.repository_errors import RepositoryUnavailableError

_DELTA_TYPES = {
    frame.INSTANT: PrimitiveType("timestamp"),
    pl.String(): PrimitiveType("string"),
    pl.Int64(): PrimitiveType("long"),
    pl.Float64(): PrimitiveType("double"),
}
_TABLE_SCHEMA = Schema(
    [Field(name, _DELTA_TYPES[kind], nullable=False) for name, kind in frame.SCHEMA.items()]
    + [Field(PARTITION, PrimitiveType("date"), nullable=False)]
)


class OpenTable:
    """The table in one folder. Only one thread may use it at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._table: DeltaTable | None = None
        self._commit: Commit | None = None

    def is_newest(self) -> bool:
        """Return whether :meth:`newest` was called, and no commit followed."""
        return self._commit is not None and self._commit.is_in_log() and self._commit.is_newest()

    def newest(self) -> DeltaTable:
        """Return the table at its newest version. If it does not exist, it is created.

        The next call changes the version of the same object.

        Raises :class:`RepositoryUnavailableError` if the table cannot be read or created.
        """
        if self._table is None or self._commit is None or not self._commit.is_in_log():
            self._table = _open(self._path)
        elif not self._commit.is_newest():
            self._read_new_commits(self._table)
        self._commit = Commit.of(Path(self._path), self._table.version())
        return self._table

    def _read_new_commits(self, table: DeltaTable) -> None:
        try:
            table.update_incremental()
        except DeltaError as error:
            self._table = self._commit = None
            raise RepositoryUnavailableError(f"The table cannot be read: {error}") from error


class OpenTablePerThread(OpenTable, local):
    """The table in one folder, opened by each thread for itself: no other thread changes its version."""


def _open(path: str) -> DeltaTable:
    try:
        return DeltaTable(path)
    except TableNotFoundError:
        return _create(path)
    except DeltaError as error:
        raise RepositoryUnavailableError(f"The table cannot be opened: {error}") from error


def _create(path: str) -> DeltaTable:
    try:
        Path(path).mkdir(exist_ok=True)
        return DeltaTable.create(path, _TABLE_SCHEMA, mode="ignore", partition_by=[PARTITION])
    except CommitFailedError:
        # Another process created it at the same moment.
        return DeltaTable(path)
    except (OSError, DeltaError) as error:
        raise RepositoryUnavailableError(f"The table cannot be created: {error}") from error
