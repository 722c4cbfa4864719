"""Parquet: the contract's ten columns with their types, a row group for each frame, zstd.

Each frame is written as a small file in memory, of which the row group's bytes are kept. A
part's note holds the row groups' own descriptions; the closing moves them to where the bytes lie.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import polars as pl

from exports.formats.base import FileFormat, PartWriter, Stretch
from exports.formats.parquet_footer import MAGIC, moved, parsed, row_groups, split, tail, written
from readings import frame


class Parquet(FileFormat):
    """One file out of row groups that were written apart."""

    name = "parquet"
    media_type = "application/vnd.apache.parquet"
    extension = "parquet"

    def opening(self) -> tuple[bytes, Any]:
        """The magic."""
        return MAGIC, []

    def part(self) -> PartWriter:
        """Writes row groups."""
        return _RowGroups()

    def closing(self, stretches: Sequence[Stretch]) -> bytes:
        """One footer for the row groups of all parts."""
        groups, position = [], 0
        for stretch in stretches:
            for described in stretch.note:
                group = parsed(base64.b64decode(described))
                groups.append(moved(group, position))
            position += stretch.size
        _, footer = split(_file(frame.empty()))
        return tail(footer, groups)


class _RowGroups(PartWriter):
    def __init__(self) -> None:
        self._position = 0
        self._described: list[str] = []

    def rows(self, readings: pl.DataFrame) -> bytes:
        content, footer = split(_file(readings))
        for group in row_groups(footer):
            described = written(moved(group, self._position - len(MAGIC)))
            self._described.append(base64.b64encode(described).decode())
        self._position += len(content)
        return content

    def end(self) -> bytes:
        return b""

    def note(self) -> Any:
        return self._described


def _file(readings: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    readings.select(frame.COLUMNS).write_parquet(
        file, compression="zstd", statistics=True, row_group_size=max(1, len(readings))
    )
    return file.getvalue()


PARQUET = Parquet()
