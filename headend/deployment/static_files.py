"""Collect the static files of all apps into ``STATIC_ROOT``, if they have changed since the last time."""

from __future__ import annotations

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

STAMP = ".collected"
"""A file in ``STATIC_ROOT`` with the fingerprint of the files that were collected."""


def collect_static_files() -> bool:
    """Collect and compress the static files, and return True; return False if the present ones are up to date.

    Compressing takes several seconds of processor time, so a restart without changes skips it. If the call is killed,
    the next one collects the files again. Files in Python's environment belong to a container image: they were
    collected when it was built, and their sources were deleted.
    """
    if static_files_are_collected():
        return False
    stamp, fingerprint = _stamp(), _fingerprint()
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", verbosity=0, interactive=False)
    stamp.write_text(fingerprint, encoding="utf-8")
    return True


def static_files_are_collected() -> bool:
    """Return whether ``STATIC_ROOT`` has the present static files. Without them, every page answers 500."""
    stamp = _stamp()
    if not stamp.is_file():
        return False
    return stamp.is_relative_to(sys.prefix) or stamp.read_text(encoding="utf-8") == _fingerprint()


def _stamp() -> Path:
    return Path(settings.STATIC_ROOT) / STAMP


def _fingerprint() -> str:
    """Return a hash of the paths, sizes and times of all files, and of the versions of what processes them."""
    digest = hashlib.sha256(
        f"{version('django')} {version('whitenoise')} {settings.STORAGES['staticfiles']}".encode()
    )
    for finder in get_finders():
        for name, storage in sorted(finder.list([]), key=lambda found: found[0]):
            file = Path(storage.path(name)).stat()
            digest.update(f"\n{name} {file.st_size} {file.st_mtime_ns}".encode())
    return digest.hexdigest()
