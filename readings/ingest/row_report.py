"""Rows of a file to name in the summary of an import."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from readings.ingest.row_validation import MAX_REPORTED_ROWS
from readings.ingest.source_file import SourceFile


@dataclass
class RowReport:
    """How many rows have a property, and the first of them as (row, text)."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, count: int, rows: Iterable[tuple[int, str]]) -> None:
        """Add ``count`` to the number of rows, and keep ``rows`` until :data:`MAX_REPORTED_ROWS` are kept.

        ``rows`` may be a generator. What is not kept is not read.
        """
        self.count += count
        room = MAX_REPORTED_ROWS - len(self.first)
        self.first += [row for row, _ in zip(rows, range(room), strict=False)]

    def describe(self, source: SourceFile, what: str) -> list[str]:
        """Return a sentence for each of the first rows, with its line, and one with the number of further ``what``."""
        if not self.first:
            return []
        places = source.places({row for row, _ in self.first})
        lines = [f"{places[row]}: {text}" for row, text in sorted(self.first)]
        if self.count > len(lines):
            lines.append(f"and {self.count - len(lines):,} more {what}")
        return lines
