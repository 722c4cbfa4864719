"""Plan a multipart upload on S3: how the pieces of a file become upload parts.

S3 requires at least 5 MiB in every upload part except the last. So large pieces are copied inside
the bucket. Small pieces are combined with their neighbours, read from the bucket and sent again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from exports.stores.base import Piece, piece_size

MIN_PART_BYTES = 5 * 2**20
MAX_COPY_BYTES = 2**30
"""The size of one copy. S3 allows 5 GiB, but less has to be repeated if a smaller copy fails."""


@dataclass(frozen=True)
class Slice:
    """The bytes of a piece from ``start`` (included) to ``end`` (excluded)."""

    piece: Piece
    start: int
    end: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.end - self.start


@dataclass
class UploadPart:
    """One part of the upload: a single slice that is copied, or several that are sent together."""

    copied: bool
    slices: list[Slice] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The number of bytes."""
        return sum(part_slice.size for part_slice in self.slices)


def upload_parts(pieces: Sequence[Piece]) -> list[UploadPart]:
    """Return the upload's parts, in order. Each part except the last has at least :data:`MIN_PART_BYTES`."""
    parts: list[UploadPart] = []
    combined = UploadPart(copied=False)
    for piece in pieces:
        size = piece_size(piece)
        sent = _bytes_to_send(piece, size, combined.size)
        if sent:
            combined.slices.append(Slice(piece, 0, sent))
        if combined.size >= MIN_PART_BYTES or (sent < size and combined.size):
            parts.append(combined)
            combined = UploadPart(copied=False)
        parts += [UploadPart(copied=True, slices=[copy]) for copy in _copies(piece, sent, size)]
    return [*parts, combined] if combined.size else parts


def _bytes_to_send(piece: Piece, size: int, combined_size: int) -> int:
    """Return how many of a piece's first bytes are sent; the rest is copied.

    Send what the combined part needs to reach the minimum, or all if the rest is too small to be copied.
    """
    if isinstance(piece, bytes):
        return size
    needed = max(0, MIN_PART_BYTES - combined_size) if combined_size else 0
    return needed if size - needed >= MIN_PART_BYTES else size


def _copies(piece: Piece, start: int, end: int) -> Iterator[Slice]:
    while end - start > MAX_COPY_BYTES + MIN_PART_BYTES:
        yield Slice(piece, start, start + MAX_COPY_BYTES)
        start += MAX_COPY_BYTES
    if start < end:
        yield Slice(piece, start, end)
