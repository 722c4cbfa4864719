"""How a multipart upload is cut: S3's rules hold, and every byte is there once, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exports.stores.base import Piece, StoredPart
from exports.stores.multipart import LEAST_PART, MOST_COPIED, upload_parts

MIB = 2**20
sizes = st.integers(1, 4 * MIB) | st.integers(4 * MIB, 12 * MIB) | st.just(3 * MOST_COPIED + 1)
pieces = st.lists(
    st.binary(min_size=1, max_size=64)
    | sizes.map(lambda size: StoredPart(f"of {size} bytes", size)),
    min_size=1,
    max_size=12,
)


def size_of(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size


@given(pieces)
def test_every_byte_is_there_once_and_in_order(pieces: list[Piece]) -> None:
    cut = [piece for part in upload_parts(pieces) for piece in part.slices]
    whole = [(number, piece) for number, piece in enumerate(pieces)]
    for _, piece in whole:
        position = 0
        while position < size_of(piece):
            taken = cut.pop(0)
            assert (taken.piece, taken.start) == (piece, position)
            position = taken.end
        assert position == size_of(piece)
    assert cut == []


@given(pieces)
def test_all_parts_but_the_last_are_large_enough_for_s3(pieces: list[Piece]) -> None:
    parts = upload_parts(pieces)
    assert all(part.size >= LEAST_PART for part in parts[:-1])
    assert all(part.size > 0 for part in parts)


@given(pieces)
def test_what_is_sent_fits_in_memory_and_what_is_large_is_copied(pieces: list[Piece]) -> None:
    for part in upload_parts(pieces):
        if part.copied:
            assert len(part.slices) == 1
            assert part.size <= MOST_COPIED + LEAST_PART
        else:
            assert part.size < 4 * LEAST_PART
