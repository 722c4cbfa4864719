"""The Procfile: the shell command of each process of a deployment."""

from __future__ import annotations

import os

from django.conf import settings
from honcho.environ import parse_procfile


def commands() -> dict[str, str]:
    """Return the shell command of each process by name."""
    # In the source tree this is a link to the Procfile at the root. The installed package contains the file.
    text = (settings.BASE_DIR / "headend" / "Procfile").read_text(encoding="utf-8")
    return dict(parse_procfile(text).processes)


def enter_project_folder() -> None:
    """Change to the folder that contains our packages, because gunicorn and celery import them from there.

    The home folder stays the same, also if its path was relative.
    """
    os.environ["HEADEND_HOME"] = str(settings.HEADEND_HOME)
    os.chdir(settings.BASE_DIR)
