"""A Delta table that stays open.

Opening a table reads its whole log: with a hundred commits this takes longer than a write. A table that stays open
reads only the commits that were made since.
"""

from __future__ import annotations

from collections.abc import Hashable
from threading import local

import polars as pl
from deltalake import CommitProperties, DeltaTable, Field, PostCommitHookProperties, Schema
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.schema import PrimitiveType

from headend.config.program import PROGRAM
from readings import frame
from readings.repositories.delta.commit_log import Commit, State
from readings.repositories.delta.failures import unavailable_if_it_fails
from readings.repositories.delta.file_kinds import PARTITION
from readings.repositories.delta.folder import Folder
from readings.repository_errors import RepositoryUnavailableError

_DELTA_TYPES = {
    frame.INSTANT: PrimitiveType("timestamp"),
    pl.String(): PrimitiveType("string"),
    pl.Int64(): PrimitiveType("long"),
    pl.Float64(): PrimitiveType("double"),
}
_NEVER_NULL = {*frame.VERSION, "measure_name"}
_TABLE_SCHEMA = Schema(
    [
        Field(name, _DELTA_TYPES[kind], nullable=name not in _NEVER_NULL)
        for name, kind in frame.FULL_SCHEMA.items()
    ]
    + [Field(PARTITION, PrimitiveType("date"), nullable=False)]
)
_NO_DAY = "0001-01-01"
"""A day without readings."""

_CONFIGURATION: dict[str, str | None] = {"delta.checkpointInterval": "20"}
"""A process that opens the table reads the newest checkpoint and all later commits. In a bucket, each costs a call."""

AFTER_COMMIT = PostCommitHookProperties(cleanup_expired_logs=False)
"""Maintenance deletes old log files. A commit that also did so would list the whole log.

With 6,000 log files, a write took four times as long.
"""


class OpenTable:
    """The table in one folder. Only one thread may use it at a time.

    A missing table is an error, unless ``creates``.
    """

    def __init__(self, folder: Folder, *, creates: bool) -> None:
        self._folder = folder
        self._creates = creates
        self._table: DeltaTable | None = None
        self._commit: Commit | None = None
        self._credentials: Hashable = None

    def newest(self) -> tuple[DeltaTable, Commit]:
        """Return the table at its newest version, and the commit of this version.

        The next call changes the version of the same object. The commit is the same object until the table changes.

        Raises :class:`RepositoryUnavailableError` if the table is missing, or cannot be read or created.
        """
        with unavailable_if_it_fails("The table cannot be read"):
            state, following = self._state()
            if state is State.FOLLOWED:
                self._read_new_commits(following)
        if state is State.GONE:
            # Read before the table is opened: if they change meanwhile, the next call opens it again.
            self._credentials = self._folder.credentials
            self._table, self._commit = _open(self._folder, creates=self._creates), None
        assert self._table is not None
        if self._commit is None:
            with unavailable_if_it_fails("The table cannot be read"):
                self._commit = Commit.of(self._folder, self._table.version())
        return self._table, self._commit

    def _state(self) -> tuple[State, Hashable]:
        if self._commit is None or self._credentials != self._folder.credentials:
            return State.GONE, None
        return self._commit.state()

    def _read_new_commits(self, following: Hashable) -> None:
        """Update the table. ``following`` is the identity of the first new commit, which often is the only one."""
        assert self._table is not None
        assert self._commit is not None
        next_version = self._commit.version + 1
        self._commit = None
        self._table.update_incremental()
        if self._table.version() == next_version:
            self._commit = Commit(self._folder, next_version, following)


class OpenTablePerThread(OpenTable, local):
    """The table in one folder, opened by each thread for itself: no other thread changes its version."""


def _open(folder: Folder, *, creates: bool) -> DeltaTable:
    try:
        with unavailable_if_it_fails("The table cannot be opened"):
            table = _open_or_none(folder)
            if table is None and not creates:
                # An empty table on another disk would hide that a disk is not mounted.
                raise RepositoryUnavailableError(
                    f"The Delta table {folder.uri} does not exist. If it existed before, mount its disk or restore it."
                    f" `{PROGRAM} store create` creates a new one."
                )
            table = table or _create(folder)
    except CommitFailedError:
        # Another process created it at the same moment.
        with unavailable_if_it_fails("The table cannot be opened"):
            table = folder.table()
    _refuse_other_table(folder, table)
    return table


def can_hold(table: DeltaTable, readings: pl.DataFrame) -> bool:
    """Return whether the table's schema has the columns of these readings, and allows their nulls.

    A table of an earlier release has the columns of the contract only, and none of them may be null.
    """
    columns = {column.name: column.nullable for column in table.schema().fields}
    if any(name not in columns for name in readings.columns):
        return False
    return all(columns[name] or not readings[name].has_nulls() for name in readings.columns)


def extend_schema(table: DeltaTable, commit: CommitProperties) -> None:
    """Give the table all columns of ``frame.FULL_SCHEMA``. Its data files stay as they are.

    Raises ``CommitFailedError`` if another writer committed first, and the errors of the library.
    """
    ours = {column.name for column in _TABLE_SCHEMA.fields}
    others = [column for column in table.schema().fields if column.name not in ours]
    # This replaces the readings of a day without readings, so it changes the schema only. The library has no
    # other way to allow nulls.
    table.create_write_transaction(
        [],
        mode="overwrite",
        schema=Schema([*_TABLE_SCHEMA.fields, *others]),
        partition_by=[PARTITION],
        partition_filters=[(PARTITION, "=", _NO_DAY)],
        commit_properties=commit,
        post_commithook_properties=AFTER_COMMIT,
    )


def _refuse_other_table(folder: Folder, table: DeltaTable) -> None:
    """Raise :class:`RepositoryUnavailableError` if the table cannot hold readings. It may have further columns."""
    found = {column.name: column.type for column in table.schema().fields}
    wrong = [
        column.name
        for column in _TABLE_SCHEMA.fields
        if found.get(column.name, _type_if_missing(column)) != column.type
    ]
    if wrong:
        problem = (
            f"{', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} missing or of another type"
        )
    elif table.metadata().partition_columns != [PARTITION]:
        problem = f"it is not partitioned by {PARTITION}"
    else:
        return
    raise RepositoryUnavailableError(
        f"{folder.uri} holds a Delta table of another program: {problem}. Set READINGS_URL to another place."
    )


def _type_if_missing(column: Field) -> object:
    """Return the type of a column that earlier releases did not have, or None for other columns."""
    return column.type if column.name in frame.FURTHER_SCHEMA else None


def _open_or_none(folder: Folder) -> DeltaTable | None:
    try:
        return folder.table()
    except TableNotFoundError:
        return None


def _create(folder: Folder) -> DeltaTable:
    with unavailable_if_it_fails("The table cannot be created"):
        return folder.create_table(_TABLE_SCHEMA, PARTITION, _CONFIGURATION)
