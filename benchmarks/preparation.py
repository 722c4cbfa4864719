"""The preparation of a benchmark: check the disk, print the expected time, ignore settings, and clean up on SIGTERM."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import tempfile

from tests.deployment import SETTINGS

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def print_needs(disk_bytes: int, seconds: int) -> None:
    """Print what the benchmark needs. Exit with code 2 if the disk is too small."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    print(
        f"needs {disk_bytes / 1e9:.1f} GB of disk in {folder} ({free / 1e9:.1f} GB are free), and up to "
        f"{math.ceil(seconds / 60)} minutes on 2 cores. TMPDIR=FOLDER chooses another disk.",
        flush=True,
    )
    if free <= disk_bytes:
        sys.exit(2)


def clean_up_after_sigterm() -> None:
    """Let SIGTERM raise an exception, as Ctrl-C does. Then folders are deleted and servers end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def forget_settings() -> None:
    """Delete the settings in the environment. A benchmark must not write into the deployment that they describe."""
    for name in list(os.environ):
        if name.startswith(SETTINGS):
            del os.environ[name]
