"""The folders that hold a deployment's state.

Importing the settings only names them. ``manage.py setup`` creates them, and a system check reports
what is wrong with them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class Folder:
    """A folder and the setting that names it."""

    setting: str
    path: Path


def create_folders(folders: Iterable[Folder]) -> None:
    """Create the folders that are missing, in the given order.

    The parent of a missing folder must exist. Otherwise files for a disk that is not mounted would be
    written to the disk below it. Raises ``ImproperlyConfigured`` with a sentence that names the setting.
    """
    for folder in folders:
        try:
            folder.path.mkdir(exist_ok=True)
        except FileNotFoundError:
            raise ImproperlyConfigured(_missing_parent(folder)) from None
        except OSError as error:
            raise ImproperlyConfigured(
                f"{folder.setting}: {folder.path}: {error.strerror}."
            ) from None


def folder_problems(folders: Iterable[Folder]) -> list[str]:
    """Return one sentence for each folder that cannot be used, and for each that cannot be created.

    A missing folder is no problem if its parent exists or comes earlier in ``folders``.
    """
    problems = []
    creatable: set[Path] = set()
    for folder in folders:
        path = folder.path
        if path.exists():
            if not path.is_dir():
                problems.append(f"{folder.setting}: {path} is not a folder.")
            elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                problems.append(f"{folder.setting}: this user cannot read and write {path}.")
        elif path.parent in creatable:
            creatable.add(path)
        elif not path.parent.is_dir():
            problems.append(_missing_parent(folder))
        elif not os.access(path.parent, os.W_OK | os.X_OK):
            problems.append(f"{folder.setting}: this user cannot create {path}.")
        else:
            creatable.add(path)
    return problems


def _missing_parent(folder: Folder) -> str:
    return f"{folder.setting}: the folder {folder.path.parent} does not exist."
