"""How files and folders of the virtual filesystem look to a client: modes, times, and the lines of ``ls -l``."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import paramiko

from exports.sftp.filesystem import Entry

# Clients create their local folders and files with these modes. Without the owner's write permission, a client could
# not write into the folder that it has just created. What the server allows does not depend on the modes.
FOLDER_MODE = stat.S_IFDIR | 0o755
FILE_MODE = stat.S_IFREG | 0o644
_RECENT = timedelta(days=182)
_Attributes = TypeVar("_Attributes", bound=paramiko.SFTPAttributes)


class ListedAttributes(paramiko.SFTPAttributes):
    """Attributes of an entry of a folder. ``asbytes`` returns the line that clients show for ``ls -l``."""

    def asbytes(self) -> bytes:
        """Return the line in the form of ``ls -l``, in UTC. paramiko's own has the day before the month."""
        time = datetime.fromtimestamp(self.st_mtime or 0, UTC)
        line = (
            f"{stat.filemode(self.st_mode or 0)}    1 {self.st_uid or 0:<8} {self.st_gid or 0:<8}"
            f" {self.st_size or 0:>8} {listed_time(time, datetime.now(UTC))} {self.filename}"
        )
        return line.encode()


def listed_time(time: datetime, now: datetime) -> str:
    """Return a time as ``ls -l`` shows it: with the hour if it is in the last six months, else with the year."""
    # ctime is English in every locale: "Thu Nov  6 03:29:40 2026".
    text = time.ctime()
    is_recent = now - _RECENT <= time <= now
    return f"{text[4:10]} {text[11:16] if is_recent else ' ' + text[20:]}"


def attributes_of(entry: Entry) -> paramiko.SFTPAttributes:
    """Return the attributes of one file or folder."""
    return _filled(paramiko.SFTPAttributes(), entry)


def listed_attributes_of(entry: Entry) -> ListedAttributes:
    """Return the attributes of an entry in the list of a folder."""
    return _filled(ListedAttributes(), entry)


def _filled(attributes: _Attributes, entry: Entry) -> _Attributes:
    attributes.filename = entry.name
    attributes.st_mode = FOLDER_MODE if entry.is_folder else FILE_MODE
    attributes.st_size = entry.size
    attributes.st_uid = attributes.st_gid = 0
    attributes.st_mtime = attributes.st_atime = int(entry.modified.timestamp())
    return attributes
