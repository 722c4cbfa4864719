"""Files that only the deployment's own user can read.

The database has password hashes and webhooks' secrets, and exports are readings of households. So every process creates
its files with mode 0600 and its folders with 0700.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from headend.config.folders import Folder

_UMASK = 0o077
_FOR_OTHERS = 0o077
"""The permissions of the group and of all other users."""
_MAX_PROBLEMS = 5


def create_private_files() -> None:
    """Make this process create files that only its own user can read. Processes that it starts inherit this."""
    os.umask(_UMASK)


def make_private(home: Path) -> list[str]:
    """Remove the permissions of group and others from the home folder and everything in it.

    Symbolic links are not followed: an operator may want to share a folder outside ``home``.

    Return one sentence for each file or folder that belongs to another user and so cannot be changed, five at most.
    """
    problems = []
    # The folder comes before its contents, so that other users cannot replace the contents in between.
    for path in _folder_and_contents(home.resolve()):
        try:
            _remove_permissions(path)
        except PermissionError as error:
            problems.append(f"{path} cannot be made private: {error.strerror}.")
    return problems[:_MAX_PROBLEMS]


def shared_folders(home: Path, folders: Iterable[Folder]) -> list[str]:
    """Return one sentence for each folder outside ``home`` that other users of this machine can read."""
    return [
        f"{folder.setting}: other users of this machine can read {folder.path}."
        for folder in folders
        if not folder.path.is_relative_to(home) and is_shared(folder.path)
    ]


def is_shared(path: Path) -> bool:
    """Return whether the group or other users have permissions on a file or folder. A missing one is not shared."""
    try:
        return bool(path.stat().st_mode & _FOR_OTHERS)
    except OSError:
        # Other checks report what cannot be used.
        return False


def _folder_and_contents(home: Path) -> Iterator[Path]:
    yield home
    for parent, folders, files in os.walk(home):
        yield from (Path(parent, name) for name in (*folders, *files))


def _remove_permissions(path: Path) -> None:
    # A running process may delete its temporary files at the same time.
    with suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & _FOR_OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~_FOR_OTHERS)
