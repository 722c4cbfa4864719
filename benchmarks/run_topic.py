"""``python -m benchmarks.run_topic TOPIC FILE``: measure one topic in this process, in the folder HEADEND_HOME.

Appends each row to FILE. ``python -m benchmarks`` starts it once per topic, so that no topic inherits the memory, the
caches or the readings of another.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

import django
from django.core.management import call_command

from benchmarks.ratio import as_json


def main(topic: str, rows: Path) -> None:
    """Set up the deployment in HEADEND_HOME, and write each row as soon as it is measured."""
    # A topic ends its servers and deletes its files in `finally`, which SIGTERM would skip.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    django.setup()
    call_command("migrate", verbosity=0)
    # Imported here, because the topics import Django's models.
    module = importlib.import_module(f"benchmarks.{topic}")
    with rows.open("a") as file:
        for row in module.measure(Path(os.environ["HEADEND_HOME"])):
            print(as_json(row), file=file, flush=True)
            what, peer, result, _ = row.cells
            print(f"  {what}, compared with {peer}: {result}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
