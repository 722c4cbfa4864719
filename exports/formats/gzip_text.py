"""Formats of text lines in one gzip member: the common code of CSV and JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from exports.formats.base import FileFormat, PartWriter, Section
from exports.formats.gzip_member import HEADER, Checksum, PartDeflater, trailer

ToLines = Callable[[pl.DataFrame], bytes]
"""Returns the lines of a readings frame, each with a line end."""


class GzipText(FileFormat):
    """Lines of text in one gzip member. The format state is the checksum and size of the uncompressed text."""

    media_type = "application/gzip"

    def __init__(self, *, name: str, extension: str, first_line: bytes, to_lines: ToLines) -> None:
        """``first_line`` includes its line end; it is empty if the format has no header line."""
        self.name = name
        self.extension = extension
        self._first_line = first_line
        self._to_lines = to_lines

    def header(self) -> tuple[bytes, Any]:
        """Return the gzip header and the compressed first line."""
        deflater = PartDeflater()
        deflated = deflater.deflate(self._first_line) + deflater.flush()
        return HEADER + deflated, _format_state(deflater.checksum)

    def part_writer(self) -> PartWriter:
        """Return a writer that compresses the lines of a part."""
        return _LinesWriter(self._to_lines)

    def footer(self, sections: Sequence[Section]) -> bytes:
        """Return the gzip trailer with the checksum of all sections."""
        checksum = Checksum()
        for section in sections:
            state = section.format_state
            checksum = checksum.followed_by(Checksum(state["crc32"], state["plain_size"]))
        return trailer(checksum)


class _LinesWriter(PartWriter):
    def __init__(self, to_lines: ToLines) -> None:
        self._to_lines = to_lines
        self._deflater = PartDeflater()

    def write(self, readings: pl.DataFrame) -> bytes:
        return self._deflater.deflate(self._to_lines(readings))

    def finish(self) -> bytes:
        return self._deflater.flush()

    def format_state(self) -> Any:
        return _format_state(self._deflater.checksum)


def _format_state(checksum: Checksum) -> dict[str, int]:
    # These keys are stored in the database with each part.
    return {"crc32": checksum.crc32, "plain_size": checksum.length}
