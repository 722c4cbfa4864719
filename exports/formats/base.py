"""The interface of a file format: a header, parts that are written independently, and a footer.

Any worker can write any part, on any machine, without the other parts. The file is the header, the
parts in order and the footer, one after the other. The footer depends on all of them, for example
on their checksums. So each section (the header or a part) yields a *format state*, a JSON value
with what the footer needs to know about it. The database stores it with the part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from readings import frame

Columns = Sequence[str]
"""The columns of a file, some of ``frame.FULL_SCHEMA``, in order."""


class PartWriter(ABC):
    """Writes the readings of one part, frame by frame."""

    @abstractmethod
    def write(self, readings: pl.DataFrame) -> bytes:
        """Add a readings frame and return the bytes that are ready. They can be fewer than the frame needs."""

    @abstractmethod
    def finish(self) -> bytes:
        """Return the rest of the part's bytes."""

    @abstractmethod
    def format_state(self) -> Any:
        """Return what the footer needs to know about the part, as a JSON value. Valid after :meth:`finish`."""


@dataclass(frozen=True)
class Section:
    """The header or a part of a file: its size in bytes and its format state."""

    size: int
    format_state: Any


class FileFormat(ABC):
    """A file format. The same readings in the same parts always give the same bytes."""

    name: str
    """The format's name in the API."""
    media_type: str
    extension: str
    """The extension of file names, without the leading dot."""

    @abstractmethod
    def header(self, columns: Columns = frame.COLUMNS) -> tuple[bytes, Any]:
        """Return the first bytes of a file with these columns, and their format state."""

    @abstractmethod
    def part_writer(self, columns: Columns = frame.COLUMNS) -> PartWriter:
        """Return a writer for one part of a file with these columns."""

    @abstractmethod
    def footer(self, sections: Sequence[Section], columns: Columns = frame.COLUMNS) -> bytes:
        """Return the last bytes of a file with these columns whose header and parts are ``sections``, in order."""
