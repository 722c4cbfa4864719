"""``python -m benchmarks``: fill a store in a temporary folder, measure, print, and fail below a mark."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
from django.core.management import call_command
from rich.console import Console
from rich.table import Table

from benchmarks.ratio import Ratio


def main() -> int:
    """The exit code: 0 when every ratio passes its mark."""
    with tempfile.TemporaryDirectory(prefix="headend-bench-") as folder:
        os.environ["HEADEND_HOME"] = folder
        os.environ |= {"LOG_LEVEL": "WARNING", "HEADEND_ALLOWED_HOSTS": "testserver"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "headend.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        return _report(Path(folder))


def _report(folder: Path) -> int:
    table = Table("what", "peer", "ours, s", "peer, s", "ratio", "mark", "")
    ratios: list[Ratio] = []
    console = Console(width=120)
    for ratio in _ratios(folder, console):
        ratios.append(ratio)
        console.print(f"  {ratio.what}, against {ratio.peer}: {ratio.value:,.1f} times")
        table.add_row(
            ratio.what,
            ratio.peer,
            f"{ratio.ours_seconds:.4f}",
            f"{ratio.peer_seconds:.2f}",
            f"{ratio.value:,.1f} times",
            f"{ratio.mark:g}",
            "passed" if ratio.passed else "MISSED",
        )
    console.print(table)
    return 0 if all(ratio.passed for ratio in ratios) else 1


def _ratios(folder: Path, console: Console) -> Iterator[Ratio]:
    # Imported here: they need Django's settings, which main() has just given a home.
    from benchmarks import files, generation, pages
    from readings.repositories import repository

    store = repository()
    console.print("measuring generation")
    yield from generation.ratios()
    console.print("a file: filling the store, then measuring")
    files.fill(store)
    yield from files.ratios(store, folder)
    console.print("pages: filling the store with a day, then measuring")
    pages.fill_day(store)
    yield from pages.ratios(store, folder)


if __name__ == "__main__":
    sys.exit(main())
