"""Which data files some commits of the table's log added and removed.

A reader that has read the table before needs only this. Delta's own update makes three calls, one after the other, and
checks rules that only writers need.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from readings.repositories.delta.file_kinds import PARTITION

_WITHOUT_FILES = {"commitInfo", "txn"}
"""Actions that change neither the files nor how they must be read."""


@dataclass
class FileChanges:
    """The files that were added, as Delta's table of add actions describes them, and the names of removed files."""

    added: dict[str, dict[str, object]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)


def read_changes(commits: Iterable[bytes]) -> FileChanges | None:
    """Return what these consecutive log files changed.

    Returns None if one of them has an action that this function does not know. For example, another program has changed
    the schema. Then Delta must open the table again.
    """
    changes = FileChanges()
    try:
        for commit in commits:
            for line in commit.splitlines():
                [(kind, values)] = json.loads(line).items()
                if kind == "add":
                    changes.added[values["path"]] = _row(values)
                elif kind == "remove":
                    changes.added.pop(values["path"], None)
                    changes.removed.add(values["path"])
                elif kind not in _WITHOUT_FILES:
                    return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return changes


def _row(values: dict[str, Any]) -> dict[str, object]:
    """Return the columns of an add action. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for another form."""
    name, statistics = values["path"], json.loads(values["stats"])
    if "%" in name or values.get("deletionVector"):
        raise ValueError("a file of another program")
    bounds = {
        f"{bound}.{column}": datetime.fromisoformat(statistics[f"{bound}Values"][column])
        for bound in ("min", "max")
        for column in ("time", "arrival_time")
    }
    return {
        "path": name,
        f"partition.{PARTITION}": date.fromisoformat(values["partitionValues"][PARTITION]),
        "num_records": int(statistics["numRecords"]),
        **bounds,
    }
