"""The newest commit of a Delta table's log, found by the names of its files.

Reading the log takes longer than reading a page. Looking for one or two file names does not.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto

from readings.repositories.delta.folder import Folder


class State(Enum):
    """What happened since a commit was read."""

    NEWEST = auto()
    FOLLOWED = auto()
    GONE = auto()
    """Log clean-up has deleted the file, or the table was deleted and perhaps created again."""


@dataclass(frozen=True)
class Commit:
    """The log file of one version, as it was when the table was read.

    ``identity`` is that of the file, or None if the log does not have it.
    """

    folder: Folder
    version: int
    identity: Hashable

    @classmethod
    def of(cls, folder: Folder, version: int) -> Commit:
        """Return the commit that made ``version`` of the table in ``folder``."""
        [identity] = folder.identities([_file(version)])
        return cls(folder, version, identity)

    def state(self) -> tuple[State, Hashable]:
        """Return whether the commit is the newest one, and the identity of the next one, if it exists.

        A bucket answers after the time of one call.
        """
        names = [_file(self.version), _file(self.version + 1)]
        identity, following = self.folder.identities(names)
        if self.identity is None or identity != self.identity:
            return State.GONE, None
        return (State.NEWEST if following is None else State.FOLLOWED), following


def _file(version: int) -> str:
    return f"_delta_log/{version:020}.json"
