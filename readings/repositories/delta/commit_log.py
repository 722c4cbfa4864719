"""Which commit a Delta table's log ends with, told by the names of its files.

Reading the log takes longer than a page's readings; a look at two names does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Commit:
    """A version's commit, as it lay in the log when the table was read."""

    log: Path
    version: int
    identity: tuple[int, int] | None

    @classmethod
    def of(cls, folder: Path, version: int) -> Commit:
        """The commit that made ``version`` of the table in ``folder``."""
        log = folder / "_delta_log"
        return cls(log, version, _identity(_file(log, version)))

    def is_kept(self) -> bool:
        """Whether the log still has it; not so once the log was cut behind it, or the table made anew."""
        return self.identity is not None and self.identity == _identity(
            _file(self.log, self.version)
        )

    def is_last(self) -> bool:
        """Whether no other follows. To be asked of a commit that is kept: a log is cut from its old end."""
        return not _file(self.log, self.version + 1).exists()


def _file(log: Path, version: int) -> Path:
    return log / f"{version:020}.json"


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
