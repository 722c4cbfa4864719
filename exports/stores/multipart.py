"""How the parts of a multipart upload are cut from the pieces of a file.

S3 takes no part under 5 MiB but the last. What is large is copied inside the bucket; what is
small goes together with its neighbours, read from the bucket and sent back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from exports.stores.base import Piece

LEAST_PART = 5 * 2**20
MOST_COPIED = 2**30
"""How much one copy takes; S3 allows 5 GiB, but a smaller copy that fails costs less again."""


@dataclass(frozen=True)
class Slice:
    """Bytes ``start`` to ``end`` of a piece."""

    piece: Piece
    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


@dataclass
class UploadPart:
    """One part of the upload: a single slice that is copied, or some that are sent together."""

    copied: bool
    slices: list[Slice] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(piece.size for piece in self.slices)


def upload_parts(pieces: Sequence[Piece]) -> list[UploadPart]:
    """The upload's parts, in order; each but the last of at least :data:`LEAST_PART` bytes."""
    parts: list[UploadPart] = []
    together = UploadPart(copied=False)
    for piece in pieces:
        size = len(piece) if isinstance(piece, bytes) else piece.size
        taken = _to_send(piece, size, together.size)
        if taken:
            together.slices.append(Slice(piece, 0, taken))
        if together.size >= LEAST_PART or (taken < size and together.size):
            parts.append(together)
            together = UploadPart(copied=False)
        parts += [UploadPart(copied=True, slices=[cut]) for cut in _cuts(piece, taken, size)]
    return [*parts, together] if together.size else parts


def _to_send(piece: Piece, size: int, waiting: int) -> int:
    """How much of a piece has to be sent: enough to fill up what waits, all if too little would be left."""
    if isinstance(piece, bytes):
        return size
    missing = max(0, LEAST_PART - waiting) if waiting else 0
    return missing if size - missing >= LEAST_PART else size


def _cuts(piece: Piece, start: int, end: int) -> Iterator[Slice]:
    while end - start > MOST_COPIED + LEAST_PART:
        yield Slice(piece, start, start + MOST_COPIED)
        start += MOST_COPIED
    if start < end:
        yield Slice(piece, start, end)
