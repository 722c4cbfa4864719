"""The table of measured rows in ``docs/performance.md``, and the file that keeps the rows of earlier runs."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.ratio import Figure, Ratio, Row, as_json, from_json

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- rows: begin -->\n", "<!-- rows: end -->\n"
"""The lines between which ``python -m benchmarks --document`` writes."""
STORED = Path(__file__).with_name("rows.json")
"""The newest rows of each topic, as JSON: the date, the load average of the machine at the start, and the rows."""


def document(topic: str, rows: list[Ratio | Figure], load: float) -> None:
    """Store the rows of a topic, and write the table of all topics into ``docs/performance.md``."""
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    stored[topic] = [f"{datetime.now(UTC):%Y-%m-%d}", round(load, 1), [*map(as_json, rows)]]
    STORED.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}{_markdown(stored)}{END}{after}", encoding="utf-8")


def _markdown(stored: dict[str, tuple[str, float, list[str]]]) -> str:
    lines = [
        f"Measured with `python -m benchmarks --document`: {machine()}. The load is that of the machine before the topic began: "
        "0 to 2 is a quiet machine.",
        "",
        "| topic | what | peer | result | required | | date, load |",
        "|---|---|---|---|---|---|---|",
    ]
    for topic, (date, load, rows) in stored.items():
        lines += [_line(topic, from_json(row), f"{date}, {load}") for row in rows]
    return "\n".join(lines) + "\n"


def _line(topic: str, row: Row, when: str) -> str:
    assert isinstance(row, Ratio | Figure)
    cells = [f"`{topic}`", *row.cells, "passed" if row.passed else "**missed**", when]
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """Return cores, memory, kernel and Python of this machine, as text."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {memory:.0f} GiB of memory, Linux {platform.release()}, Python {platform.python_version()}"
