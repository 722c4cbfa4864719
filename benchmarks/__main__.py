"""``python -m benchmarks``: compare with peers on the same readings, and fail if a row misses its requirement."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.ratio import Figure, Ratio, from_json
from benchmarks.report import document
from benchmarks.topics import TOPICS, Topic


def main() -> int:
    """Return the exit code: 0 if every row that decides keeps its requirement, otherwise 1; 2 if the disk is too small."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "topic", nargs="*", help=f"what to measure: {', '.join(TOPICS)} (default: everything)"
    )
    parser.add_argument(
        "--document", action="store_true", help="write the table into docs/performance.md too"
    )
    options = parser.parse_args()
    if unknown := [name for name in options.topic if name not in TOPICS]:
        parser.error(f"no topic {unknown[0]}. The topics: {', '.join(TOPICS)}.")
    topics = [TOPICS[name] for name in options.topic or TOPICS]
    # An interrupt must delete the folder too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console(width=140)
    if not _has_space(console, topics):
        return 2
    rows: list[Ratio | Figure] = []
    failed = False
    for topic in topics:
        console.print(f"measuring {topic.module}: {topic.description}")
        measured, succeeded = _measure(topic)
        rows += measured
        failed |= not succeeded
    console.print(_table(rows))
    if options.document:
        document(rows)
    if any(not row.decides and not row.passed for row in rows):
        console.print(
            "A time without a peer that is missed is no failure: other work on this machine adds to it."
        )
    return 0 if not failed and all(row.passed or not row.decides for row in rows) else 1


def _has_space(console: Console, topics: list[Topic]) -> bool:
    """Say what the topics need, and whether the disk has it."""
    needed, folder = max(topic.disk_bytes for topic in topics), tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    minutes = math.ceil(sum(topic.seconds for topic in topics) / 60)
    console.print(
        f"needs {needed / 1e9:.1f} GB of disk in {folder} ({free / 1e9:.1f} GB are free), and up to {minutes} minutes "
        "on 2 cores. TMPDIR=FOLDER chooses another disk."
    )
    return free > needed


def _measure(topic: Topic) -> tuple[list[Ratio | Figure], bool]:
    """Measure a topic in a process and a home folder of its own. Return its rows, and whether it ended well."""
    with tempfile.TemporaryDirectory(prefix="headend-bench-") as folder:
        rows, home = Path(folder) / "rows", Path(folder) / "home"
        rows.touch()
        home.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.run_topic", topic.module, str(rows)],
            env=os.environ
            | {
                "HEADEND_HOME": str(home),
                "LOG_LEVEL": "WARNING",
                "HEADEND_ALLOWED_HOSTS": "testserver,127.0.0.1",
                "DJANGO_SETTINGS_MODULE": "headend.settings",
            },
        )
        try:
            process.wait()
        finally:
            process.terminate()
            process.wait()
        return [from_json(line) for line in rows.read_text().splitlines()], process.returncode == 0


def _table(rows: list[Ratio | Figure]) -> Table:
    table = Table("what", "peer", "result", "required", "")
    for row in rows:
        table.add_row(*row.cells, "passed" if row.passed else "MISSED")
    return table


if __name__ == "__main__":
    sys.exit(main())
