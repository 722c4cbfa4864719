"""A CSV file in blocks of whole rows, so that memory does not depend on what the file contains.

Polars reads a file ahead, and keeps a row in memory several times. A compressed file of 50 MB can contain a row of 5
GB. So a file is split here, and Polars gets one block after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, TextIO

import numpy as np

MAX_ROW_BYTES = 1 << 20
"""A longer row is refused. The rows of real files have a few hundred bytes."""
_BLOCK_BYTES = 8 << 20
_COUNTED_BYTES = 1 << 16
_MAX_LINES = 250_000
"""A block has at most about this many lines. Even an empty line takes memory in each column."""


class RowTooLongError(ValueError):
    """The file has a row that is longer than :data:`MAX_ROW_BYTES`. Perhaps a quotation mark is not closed."""

    def __init__(self) -> None:
        super().__init__(
            f"a row is longer than {MAX_ROW_BYTES:,} bytes, or a quotation mark is not closed"
        )


def blocks_of_rows(file: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of the file in blocks that end with a row. Raises :class:`RowTooLongError` and ``OSError``."""
    rest = b""
    while read := file.read(_BLOCK_BYTES):
        text = rest + read
        end = _end_of_last_row(text)
        if len(text) - end > MAX_ROW_BYTES:
            raise RowTooLongError
        yield from _limit_lines(text[:end])
        rest = text[end:]
    if rest:
        yield rest


def bounded_lines(text: TextIO) -> Iterator[str]:
    """Yield the lines of the file. Raises :class:`RowTooLongError` for a line that is too long."""
    while line := text.readline(MAX_ROW_BYTES + 1):
        if len(line) > MAX_ROW_BYTES:
            raise RowTooLongError
        yield line


def has_shorter_row(block: bytes, separator: str, values: int) -> bool:
    """Return whether a row of the block has fewer than this many values. Blank lines are not rows."""
    characters = np.frombuffer(block, np.uint8)
    is_end, is_separator = characters == ord("\n"), characters == ord(separator)
    if b'"' in block:
        is_outside = ~np.logical_xor.accumulate(characters == ord('"'))
        is_end, is_separator = is_end & is_outside, is_separator & is_outside
    ends = np.flatnonzero(is_end)
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    found = np.diff(np.searchsorted(np.flatnonzero(is_separator), ends), prepend=0)
    lengths = np.diff(ends, prepend=-1) - 1
    ends_with_return = characters[ends - 1] == ord("\r")
    is_blank = (lengths == 0) | ((lengths == 1) & ends_with_return)
    return bool(np.any((found < values - 1) & ~is_blank))


def _end_of_last_row(text: bytes) -> int:
    """Return where the last complete row ends, or 0. A line end between quotation marks ends no row."""
    end = text.rfind(b"\n") + 1
    quotes = _count(b'"', text, 0, end)
    while quotes % 2 and len(text) - end <= MAX_ROW_BYTES:
        before = text.rfind(b"\n", 0, end - 1) + 1
        quotes -= _count(b'"', text, before, end)
        end = before
    return end


def _count(byte: bytes, text: bytes, start: int, end: int) -> int:
    """Return how often ``byte`` is in ``text[start:end]``. This takes a seventh of the time of ``bytes.count``."""
    values = np.frombuffer(text, np.uint8)[start:end]
    # Small parts, whose comparisons stay in the cache of the processor.
    return sum(
        int(np.count_nonzero(values[part : part + _COUNTED_BYTES] == ord(byte)))
        for part in range(0, len(values), _COUNTED_BYTES)
    )


def _limit_lines(rows: bytes) -> Iterator[bytes]:
    """Yield the rows in halves, quarters and so on, until no block has too many lines."""
    if not rows:
        return
    if _count(b"\n", rows, 0, len(rows)) <= _MAX_LINES:
        yield rows
        return
    middle = len(rows) // 2
    end = _end_of_last_row(rows[:middle])
    if not end or middle - end > MAX_ROW_BYTES:
        # Only a quoted value can contain so many line ends.
        raise RowTooLongError
    yield from _limit_lines(rows[:end])
    yield from _limit_lines(rows[end:])
