"""``python -m benchmarks.run_topic TOPIC FILE [SIZE...]``: measure one topic in this process, in HEADEND_HOME.

Appends each row to FILE. ``python -m benchmarks`` and ``python -m benchmarks.growth`` start it once per topic, so that
no topic inherits the memory, the caches or the readings of another.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

from benchmarks.preparation import INTERRUPTS, clean_up_after_sigterm
from benchmarks.ratio import as_json
from headend.config.folders import create_folders


def main(topic: str, rows: Path, sizes: list[int]) -> None:
    """Set up the deployment in HEADEND_HOME, and write each row as soon as it is measured."""
    # A topic ends its servers and deletes its files in `finally`.
    clean_up_after_sigterm()
    # The parent process blocks both signals until here, so that none ends this process without a clean-up.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
    django.setup()
    create_folders(settings.FOLDERS)
    call_command("migrate", verbosity=0)
    # Imported here, because the topics import Django's models.
    from readings.repositories import open_store

    open_store(settings.READINGS_URL).create()
    module = importlib.import_module(f"benchmarks.{topic}")
    with rows.open("a") as file:
        for row in module.measure(Path(os.environ["HEADEND_HOME"]), *sizes):
            print(as_json(row), file=file, flush=True)
            print(f"  {row}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [int(size) for size in sys.argv[3:]])
