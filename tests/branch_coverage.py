"""Print the branch coverage of each package, from the JSON file of slipcover: ``python -m tests.branch_coverage FILE``.

Only the tests' own processes are measured, not the deployments that they start.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

PACKAGES = ("headend", "readings", "exports")


def report(measured: dict[str, dict[str, int]]) -> str:
    """Return a line for each package, from the summary of each file by its path.

    A summary has the numbers of lines and branches that were executed (``covered_…``) and that were not
    (``missing_…``).
    """
    lines = ["Covered by the tests' own processes:"]
    for package in PACKAGES:
        total: Counter[str] = Counter()
        for path, summary in measured.items():
            if path.startswith(f"{package}/"):
                total.update(summary)
        branches = _percent(total["covered_branches"], total["missing_branches"])
        covered = _percent(total["covered_lines"], total["missing_lines"])
        lines.append(f"  {package:<10}{branches} of the branches, {covered} of the lines")
    return "\n".join(lines)


def _percent(covered: int, missing: int) -> str:
    return f"{100 * covered / (covered + missing):.1f} %" if covered + missing else "none"


if __name__ == "__main__":
    files = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["files"]
    sys.stdout.write(report({path: file["summary"] for path, file in files.items()}) + "\n")
