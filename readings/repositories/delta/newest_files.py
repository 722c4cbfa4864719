"""The data files of the newest version of a table, for a reader."""

from __future__ import annotations

from collections.abc import Hashable

from readings.repositories.delta.commit_log import Commit, State
from readings.repositories.delta.data_files import DataFiles
from readings.repositories.delta.failures import unavailable_if_it_fails
from readings.repositories.delta.file_changes import read_changes
from readings.repositories.delta.folder import Folder
from readings.repositories.delta.open_table import OpenTable


class NewestFiles:
    """The files of the table in one folder. Only one thread may use it at a time."""

    def __init__(self, folder: Folder, *, creates: bool) -> None:
        self._folder = folder
        self._creates = creates
        self._known: tuple[DataFiles, Commit] | None = None
        self.table_id: str | None = None
        """The id in the metadata of the table, as of the last call of :meth:`newest`."""

    def newest(self) -> tuple[DataFiles, Commit]:
        """Return the files of the newest version, and its commit. With ``creates``, a missing table is created.

        Both are the same objects until the table changes. Raises :class:`RepositoryUnavailableError`.
        """
        with unavailable_if_it_fails("The table cannot be read"):
            self._known = self._read_following()
        if self._known is None:
            table, commit = OpenTable(self._folder, creates=self._creates).newest()
            # A commit that changes the metadata is not followed: the table is opened again.
            self.table_id = str(table.metadata().id)
            self._known = DataFiles.of(self._folder, table), commit
        return self._known

    def _read_following(self) -> tuple[DataFiles, Commit] | None:
        """Return the newest files by reading the commits after the known one, or None if that is not possible."""
        if self._known is None:
            return None
        files, commit = self._known
        state, following = commit.state()
        if state is State.NEWEST:
            return self._known
        if state is State.GONE:
            return None
        contents = commit.following()
        changes = read_changes(contents) if contents else None
        if contents is None or changes is None:
            return None
        newest = files.changed([*changes.added.values()], changes.removed)
        return newest, self._commit(commit.version + len(contents), commit, following)

    def _commit(self, version: int, known: Commit, following: Hashable) -> Commit:
        """Return the commit of a version. ``following`` is the identity of the first commit after the known one."""
        if version == known.version + 1:
            return Commit(self._folder, version, following)
        return Commit.of(self._folder, version)
