"""The plan of a multipart upload follows S3's rules and contains every byte once, in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exports.stores.base import Piece, StoredPart, piece_size
from exports.stores.multipart import MAX_COPY_BYTES, MIN_PART_BYTES, upload_parts

MIB = 2**20
sizes = st.integers(1, 4 * MIB) | st.integers(4 * MIB, 12 * MIB) | st.just(3 * MAX_COPY_BYTES + 1)
pieces = st.lists(
    st.binary(min_size=1, max_size=64)
    | sizes.map(lambda size: StoredPart(f"of {size} bytes", size)),
    min_size=1,
    max_size=12,
)


@given(pieces)
def test_every_byte_is_uploaded_once_and_in_order(pieces: list[Piece]) -> None:
    slices = [part_slice for part in upload_parts(pieces) for part_slice in part.slices]
    for piece in pieces:
        position = 0
        while position < piece_size(piece):
            next_slice = slices.pop(0)
            assert (next_slice.piece, next_slice.start) == (piece, position)
            position = next_slice.end
        assert position == piece_size(piece)
    assert slices == []


@given(pieces)
def test_all_parts_except_the_last_have_s3s_minimum_size(pieces: list[Piece]) -> None:
    parts = upload_parts(pieces)
    assert all(part.size >= MIN_PART_BYTES for part in parts[:-1])
    assert all(part.size > 0 for part in parts)


@given(pieces)
def test_sent_parts_fit_in_memory_and_large_pieces_are_copied(pieces: list[Piece]) -> None:
    for part in upload_parts(pieces):
        if part.copied:
            assert len(part.slices) == 1
            assert part.size <= MAX_COPY_BYTES + MIN_PART_BYTES
        else:
            assert part.size < 4 * MIN_PART_BYTES
