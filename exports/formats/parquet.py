"""Parquet: the columns with their types, one row group for each frame, compressed with zstd.

Polars writes each frame as a small file in memory, of which only the pages are used. The format
state of a part is the list of its row groups' metadata, with offsets relative to the part's start.
The footer contains all row groups, with their offsets moved to where the parts are in the file.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import polars as pl

from exports.formats.base import Columns, FileFormat, PartWriter, Section
from exports.formats.parquet_footer import (
    MAGIC,
    file_end,
    parse,
    row_groups,
    serialize,
    shift_offsets,
    split_file,
)
from readings import frame


class Parquet(FileFormat):
    """One Parquet file from row groups that are written independently."""

    name = "parquet"
    media_type = "application/vnd.apache.parquet"
    extension = "parquet"

    def header(self, columns: Columns = frame.COLUMNS) -> tuple[bytes, Any]:
        """Return the magic number and no row groups."""
        return MAGIC, []

    def part_writer(self, columns: Columns = frame.COLUMNS) -> PartWriter:
        """Return a writer that makes one row group of each frame."""
        return _RowGroupsWriter(columns)

    def footer(self, sections: Sequence[Section], columns: Columns = frame.COLUMNS) -> bytes:
        """Return the file metadata with the row groups of all parts, its length and the magic number."""
        groups, position = [], 0
        for section in sections:
            for encoded in section.format_state:
                group = parse(base64.b64decode(encoded))
                groups.append(shift_offsets(group, position))
            position += section.size
        _, metadata = split_file(_parquet_file(frame.empty(columns)))
        return file_end(metadata, groups)


class _RowGroupsWriter(PartWriter):
    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._position = 0
        self._row_groups: list[str] = []

    def write(self, readings: pl.DataFrame) -> bytes:
        pages, metadata = split_file(_parquet_file(readings.select(self._columns)))
        for group in row_groups(metadata):
            # In its own file the first page follows the magic number, in a part it is at 0.
            serialized = serialize(shift_offsets(group, self._position - len(MAGIC)))
            self._row_groups.append(base64.b64encode(serialized).decode())
        self._position += len(pages)
        return pages

    def finish(self) -> bytes:
        return b""

    def format_state(self) -> Any:
        return self._row_groups


def _parquet_file(readings: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    readings.write_parquet(
        file, compression="zstd", statistics=True, row_group_size=max(1, len(readings))
    )
    return file.getvalue()


PARQUET = Parquet()
