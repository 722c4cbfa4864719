"""The table of measured rows in ``docs/performance.md``."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.ratio import Figure, Ratio

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- rows: begin -->\n", "<!-- rows: end -->\n"
"""The lines between which ``python -m benchmarks --document`` writes."""


def document(rows: list[Ratio | Figure]) -> None:
    """Replace the table of ``docs/performance.md`` by these rows."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}{_markdown(rows)}{END}{after}", encoding="utf-8")


def _markdown(rows: list[Ratio | Figure]) -> str:
    lines = [
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `python -m benchmarks --document`: {machine()}.",
        "",
        "| what | peer | result | required | |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(row.cells)} | {'passed' if row.passed else '**missed**'} |" for row in rows),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Return the cores, the memory, and the versions of Linux and Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {memory:.0f} GiB of memory, Linux {platform.release()}, Python {platform.python_version()}"
