"""The temporary folder of an import inside the home folder, and the removal of those that a killed import left."""

from __future__ import annotations

import fcntl
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from readings.ingest.stop_request import stop_at_once

_PREFIX = "import-"
_LOCK = "lock"
_LOCKED_AFTER_SECONDS = 60
STANDARD_INPUT = Path("-")


@contextmanager
def import_folder(home: Path) -> Iterator[Path]:
    """Create a temporary folder inside ``home``, and delete it at the end. A lock tells that it is in use."""
    with tempfile.TemporaryDirectory(dir=home, prefix=_PREFIX) as name:
        folder = Path(name)
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder


def remove_abandoned_folders(home: Path) -> int:
    """Delete the folders of imports that were killed. Return how many."""
    abandoned = [folder for folder in home.glob(f"{_PREFIX}*") if _is_abandoned(folder)]
    for folder in abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    return len(abandoned)


def _is_abandoned(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        # An import that has just started has no lock yet.
        return _age_seconds(folder) > _LOCKED_AFTER_SECONDS
    except OSError:
        return False


def _age_seconds(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return 0


def readable_twice(path: Path, folder: Path) -> Path:
    """Return ``path``, or a copy in ``folder`` of standard input (``-``) or of a pipe, which can be read only once."""
    if path == STANDARD_INPUT:
        copy = folder / "standard-input"
        with copy.open("wb") as target, stop_at_once():
            shutil.copyfileobj(sys.stdin.buffer, target)
        return copy
    if not path.is_fifo():
        return path
    copy = folder / "pipe"
    with stop_at_once(), path.open("rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    return copy
