"""The folders that hold a deployment's state.

The settings only name them. ``manage.py setup`` creates them, and a system check reports problems.
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
            raise ImproperlyConfigured(f"{folder.setting}: {_missing_parent(folder)}") from None
        except OSError as error:
            raise ImproperlyConfigured(
                f"{folder.setting}: {folder.path}: {error.strerror}."
            ) from None


def folder_problems(folders: Iterable[Folder]) -> list[str]:
    """Return one sentence for each folder that cannot be used, and for each that cannot be created.

    A missing folder is no problem if its parent exists or comes earlier in ``folders``. If a folder cannot be used,
    the folders inside it are not reported.
    """
    problems = []
    creatable: set[Path] = set()
    unusable: set[Path] = set()
    for folder in folders:
        if not unusable.isdisjoint(folder.path.parents):
            continue
        problem = _problem(folder, creatable)
        if problem:
            problems.append(f"{folder.setting}: {problem}")
            unusable.add(folder.path)
    return problems


def _problem(folder: Folder, creatable: set[Path]) -> str | None:
    """Return what is wrong with the folder, or None. Add the folder to ``creatable`` if it must be created."""
    path = folder.path
    try:
        if path.exists():
            if not path.is_dir():
                return f"{path} is not a folder."
            usable = os.access(path, os.R_OK | os.W_OK | os.X_OK)
            return None if usable else f"this user cannot read and write {path}."
        if path.parent not in creatable:
            if not path.parent.is_dir():
                return _missing_parent(folder)
            if not os.access(path.parent, os.W_OK | os.X_OK):
                return f"this user cannot create {path}."
    except OSError as error:
        # For example, this user may not enter the folder that contains it.
        return f"{path}: {error.strerror}."
    creatable.add(path)
    return None


def _missing_parent(folder: Folder) -> str:
    return f"the folder {folder.path.parent} does not exist."
