"""Formats of text lines in one gzip member: the common code of CSV and JSON lines."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import Any, BinaryIO

import polars as pl

from exports.formats.base import Columns, FileFormat, PartWriter, Section
from exports.formats.gzip_member import HEADER, Checksum, PartDeflater, trailer
from readings import frame

ToLines = Callable[[pl.DataFrame, BinaryIO], None]
"""Writes the lines of a readings frame to a file, each with a line end."""
FirstLine = Callable[[Columns], bytes]
"""Returns the header line of these columns with its line end; empty if the format has none."""

_RENDERED_READINGS = 16_384
"""How many readings are rendered at once: about 2 MB of text, which stays in the processor's cache until compressed."""


class GzipText(FileFormat):
    """Lines of text in one gzip member. The format state is the checksum and size of the uncompressed text."""

    media_type = "application/gzip"

    def __init__(
        self, *, name: str, extension: str, first_line: FirstLine, to_lines: ToLines
    ) -> None:
        self.name = name
        self.extension = extension
        self._first_line = first_line
        self._to_lines = to_lines

    def header(self, columns: Columns = frame.COLUMNS) -> tuple[bytes, Any]:
        """Return the gzip header and the compressed first line."""
        deflater = PartDeflater()
        deflated = deflater.deflate(self._first_line(columns)) + deflater.flush()
        return HEADER + deflated, _format_state(deflater.checksum)

    def part_writer(self, columns: Columns = frame.COLUMNS) -> PartWriter:
        """Return a writer that compresses the lines of a part."""
        return _LinesWriter(self._to_lines, columns)

    def footer(self, sections: Sequence[Section], columns: Columns = frame.COLUMNS) -> bytes:
        """Return the gzip trailer with the checksum of all sections."""
        checksum = Checksum()
        for section in sections:
            state = section.format_state
            checksum = checksum.followed_by(Checksum(state["crc32"], state["plain_size"]))
        return trailer(checksum)


class _LinesWriter(PartWriter):
    """Compresses lines in another thread while the caller's thread renders the next ones; both release the GIL."""

    def __init__(self, to_lines: ToLines, columns: Columns) -> None:
        self._to_lines = to_lines
        self._columns = columns
        self._deflater = PartDeflater()
        self._compressing = ThreadPoolExecutor(1)
        # Both are used again and again: new memory for every text would cost a tenth of the time.
        self._buffers = cycle((io.BytesIO(), io.BytesIO()))
        self._pending: Future[bytes] | None = None

    def write(self, readings: pl.DataFrame) -> bytes:
        return b"".join(
            map(self._write, readings.select(self._columns).iter_slices(_RENDERED_READINGS))
        )

    def finish(self) -> bytes:
        rest = self._pending.result() if self._pending else b""
        self._compressing.shutdown()
        return rest + self._deflater.flush()

    def format_state(self) -> Any:
        return _format_state(self._deflater.checksum)

    def _write(self, readings: pl.DataFrame) -> bytes:
        """Begin to compress the lines of these readings, and return those of the call before."""
        lines = next(self._buffers)
        lines.seek(0)
        self._to_lines(readings, lines)
        before, self._pending = self._pending, self._compressing.submit(self._deflate, lines)
        # This waits for the other buffer, so that the next call can write into it.
        return before.result() if before else b""

    def _deflate(self, lines: io.BytesIO) -> bytes:
        with lines.getbuffer() as buffer, buffer[: lines.tell()] as text:
            return self._deflater.deflate(text)


def _format_state(checksum: Checksum) -> dict[str, int]:
    # These keys are stored in the database with each part.
    return {"crc32": checksum.crc32, "plain_size": checksum.length}
