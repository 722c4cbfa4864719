"""``python -m benchmarks``: compare with peers on the same readings, and fail if a row misses its requirement."""

from __future__ import annotations

import argparse
import os
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.own_process import measure_in_own_process
from benchmarks.preparation import clean_up_after_sigterm, forget_settings, print_needs
from benchmarks.ratio import Figure, Point, Ratio
from benchmarks.report import document
from benchmarks.topics import TOPICS


def main() -> int:
    """Return the exit code: 0 if every row that decides keeps its requirement, 1 if not, 2 if the disk is too small."""
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
    clean_up_after_sigterm()
    forget_settings()
    console = Console(width=140)
    print_needs(max(topic.disk_bytes for topic in topics), sum(topic.seconds for topic in topics))
    rows: list[Ratio | Figure] = []
    failed = False
    for topic in topics:
        console.print(f"measuring {topic.module}: {topic.description}")
        load = os.getloadavg()[0]
        measured, succeeded = measure_in_own_process(topic.module)
        of_topic = [row for row in measured if not isinstance(row, Point)]
        if options.document and succeeded:
            document(topic.module, of_topic, load)
        rows += of_topic
        failed |= not succeeded
    console.print(_table(rows))
    if any(not row.decides and not row.passed for row in rows):
        console.print(
            "A missed limit of a time without a peer is not a failure: other work on this machine adds to the time."
        )
    return 0 if not failed and all(row.passed or not row.decides for row in rows) else 1


def _table(rows: list[Ratio | Figure]) -> Table:
    table = Table("what", "peer", "result", "required", "")
    for row in rows:
        table.add_row(*row.cells, "passed" if row.passed else "MISSED")
    return table


if __name__ == "__main__":
    sys.exit(main())
