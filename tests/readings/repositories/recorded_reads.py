"""Record which rows of data files are read."""

from __future__ import annotations

import polars as pl
import pytest

from readings.repositories.delta import decoded_rows
from readings.repositories.delta.folder import Folder

Reads = list[tuple[int, int]]
"""The first row and the number of rows of each read."""


def record_reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Return a list that gets each read from now on."""
    reads: Reads = []
    read = decoded_rows._read

    def recorded(
        folder: Folder, file: str, start: int, length: int, columns: tuple[str, ...]
    ) -> pl.DataFrame:
        reads.append((start, length))
        return read(folder, file, start, length, columns)

    monkeypatch.setattr(decoded_rows, "_read", recorded)
    return reads
