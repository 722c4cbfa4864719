"""The newest commit of a Delta table's log, found by the names of its files.

Reading the log takes longer than reading a page. Looking for one or two file names does not.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import takewhile

from readings.repositories.delta.folder import Folder

LOG = "_delta_log"
"""The folder of the log in the folder of the table."""
_READ_TOGETHER = 2
"""How many log files are read in parallel. Usually one commit follows, and the second file is missing."""
_MAX_FOLLOWING = 32
"""If more commits follow, it is faster to open the table at its checkpoint."""


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

        In a bucket, both files are looked up at once, so this takes the time of one call.
        """
        names = [_file(self.version), _file(self.version + 1)]
        identity, following = self.folder.identities(names)
        if self.identity is None or identity != self.identity:
            return State.GONE, None
        return (State.NEWEST if following is None else State.FOLLOWED), following

    def following(self) -> list[bytes] | None:
        """Return the content of the log files that follow, or None if there are :data:`_MAX_FOLLOWING` or more."""
        found: list[bytes] = []
        while len(found) < _MAX_FOLLOWING:
            first = self.version + 1 + len(found)
            contents = self.folder.read([_file(first + n) for n in range(_READ_TOGETHER)])
            new = list(takewhile(lambda content: content is not None, contents))
            found += [content for content in new if content is not None]
            if len(new) < _READ_TOGETHER:
                return found
        return None


def _file(version: int) -> str:
    return f"{LOG}/{version:020}.json"
