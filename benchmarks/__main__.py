"""``python -m benchmarks``: compare with peers on the same readings, and fail if a ratio misses its target."""

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
    """Run in a temporary home folder. Return the exit code: 0 if every ratio reaches its target."""
    with tempfile.TemporaryDirectory(prefix="headend-bench-") as folder:
        os.environ["HEADEND_HOME"] = folder
        os.environ |= {"LOG_LEVEL": "WARNING", "HEADEND_ALLOWED_HOSTS": "testserver"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "headend.settings"
        django.setup()
        call_command("migrate", verbosity=0)
        return _report(Path(folder))


def _report(folder: Path) -> int:
    table = Table("what", "peer", "ours, s", "peer, s", "ratio", "target", "")
    ratios: list[Ratio] = []
    console = Console(width=120)
    for ratio in _ratios(folder, console):
        ratios.append(ratio)
        console.print(f"  {ratio.what}, compared with {ratio.peer}: {ratio.value:,.1f} times")
        table.add_row(
            ratio.what,
            ratio.peer,
            f"{ratio.ours_seconds:.4f}",
            f"{ratio.peer_seconds:.2f}",
            f"{ratio.value:,.1f} times",
            f"{ratio.target:g}",
            "passed" if ratio.passed else "MISSED",
        )
    console.print(table)
    return 0 if all(ratio.passed for ratio in ratios) else 1


def _ratios(folder: Path, console: Console) -> Iterator[Ratio]:
    # Imported here, because the settings need the home folder that main() has chosen.
    from benchmarks import files, generation, pages
    from readings.repositories import repository as deployment_repository

    repository = deployment_repository()
    console.print("measuring generation")
    yield from generation.ratios()
    console.print("a file: filling the repository, then measuring")
    files.fill(repository)
    yield from files.ratios(repository, folder)
    console.print("pages: filling the repository with a day, then measuring")
    pages.fill_day(repository)
    yield from pages.ratios(repository, folder)


if __name__ == "__main__":
    sys.exit(main())
