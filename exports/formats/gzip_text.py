"""Text in one gzip member: what CSV and JSON lines have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from exports.formats.base import FileFormat, PartWriter, Stretch
from exports.formats.gzip_member import HEADER, Checksum, PartDeflater, trailer

Rows = Callable[[pl.DataFrame], bytes]


class GzipText(FileFormat):
    """``head`` opens the text; ``rows`` turns a readings frame into the lines that follow."""

    media_type = "application/gzip"

    def __init__(self, *, name: str, extension: str, head: bytes, rows: Rows) -> None:
        self.name = name
        self.extension = extension
        self._head = head
        self._rows = rows

    def opening(self) -> tuple[bytes, Any]:
        """The member's header and the deflated head."""
        head = PartDeflater()
        deflated = head.deflate(self._head) + head.flush()
        return HEADER + deflated, _note(head.checksum)

    def part(self) -> PartWriter:
        """Deflates rows."""
        return _DeflatedRows(self._rows)

    def closing(self, stretches: Sequence[Stretch]) -> bytes:
        """The member's trailer over everything."""
        checksum = Checksum()
        for stretch in stretches:
            checksum = checksum.followed_by(
                Checksum(stretch.note["crc32"], stretch.note["plain_size"])
            )
        return trailer(checksum)


class _DeflatedRows(PartWriter):
    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._deflater = PartDeflater()

    def rows(self, readings: pl.DataFrame) -> bytes:
        return self._deflater.deflate(self._rows(readings))

    def end(self) -> bytes:
        return self._deflater.flush()

    def note(self) -> Any:
        return _note(self._deflater.checksum)


def _note(plain: Checksum) -> dict[str, int]:
    return {"crc32": plain.crc32, "plain_size": plain.length}
