"""The newest commit of a Delta table's log, found by the names of its files.

Reading the log takes longer than reading a page. Looking for one or two file names does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Commit:
    """The log file of one version, as it was when the table was read.

    ``identity`` is the inode and the modification time of the file, or None if the log does not have it.
    """

    log: Path
    version: int
    identity: tuple[int, int] | None

    @classmethod
    def of(cls, folder: Path, version: int) -> Commit:
        """Return the commit that made ``version`` of the table in ``folder``."""
        log = folder / "_delta_log"
        return cls(log, version, _identity(_file(log, version)))

    def is_in_log(self) -> bool:
        """Return whether the log still has this very file.

        It does not after log clean-up has deleted the file, or after the table was deleted and created again.
        """
        return self.identity is not None and self.identity == _identity(
            _file(self.log, self.version)
        )

    def is_newest(self) -> bool:
        """Return whether no commit follows.

        Valid only for a commit that is in the log: log clean-up deletes the oldest files first.
        """
        return not _file(self.log, self.version + 1).exists()


def _file(log: Path, version: int) -> Path:
    return log / f"{version:020}.json"


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
