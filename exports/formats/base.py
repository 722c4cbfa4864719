"""What a format of bulk files is: an opening, parts that know nothing of each other, a closing.

A part tells by its *note*, a JSON value, what the closing has to know of it. So parts made on
any machine become one file by being put behind each other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl


class PartWriter(ABC):
    """Turns the readings of one part into bytes, frame by frame."""

    @abstractmethod
    def rows(self, readings: pl.DataFrame) -> bytes:
        """The bytes that are ready after these readings (a readings frame)."""

    @abstractmethod
    def end(self) -> bytes:
        """The rest of the part."""

    @abstractmethod
    def note(self) -> Any:
        """What the closing has to know of the part; complete after :meth:`end`."""


@dataclass(frozen=True)
class Stretch:
    """A part of a file, or its opening: how many bytes, and its note."""

    size: int
    note: Any


class FileFormat(ABC):
    """A format; the same readings always make the same bytes."""

    name: str
    """What a supplier calls it."""
    media_type: str
    extension: str

    @abstractmethod
    def opening(self) -> tuple[bytes, Any]:
        """The bytes a file begins with, and their note."""

    @abstractmethod
    def part(self) -> PartWriter:
        """A writer for one part."""

    @abstractmethod
    def closing(self, stretches: Sequence[Stretch]) -> bytes:
        """The bytes a file ends with, given its opening and its parts in order."""
