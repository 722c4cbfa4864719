"""The program with which users start commands. Messages name it, so that readers can copy a command."""

from __future__ import annotations

from pathlib import Path

BASE_DIR = Path(__file__).resolve().parents[2]
"""The source tree; for an installed package, the folder of all packages."""


def is_source_tree(folder: Path) -> bool:
    """Return whether the package runs from the source tree in ``folder``."""
    return (folder / "manage.py").is_file()


def program_of(folder: Path) -> str:
    """Return the program for a package whose parent is ``folder``: the wheel has no ``manage.py``."""
    return "python manage.py" if is_source_tree(folder) else "headend"


PROGRAM = program_of(BASE_DIR)

SET_UP_HOST = f"Run `{PROGRAM} setup` on this host."
