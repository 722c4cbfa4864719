"""One gzip member from parts that are compressed independently."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exports.formats.gzip_member import HEADER, Checksum, PartDeflater, trailer


def member(parts: list[list[bytes]]) -> bytes:
    """Compress each part independently, chunk by chunk, and join the parts."""
    written, checksum = HEADER, Checksum()
    for chunks in parts:
        deflater = PartDeflater()
        written += b"".join(deflater.deflate(chunk) for chunk in chunks) + deflater.flush()
        checksum = checksum.followed_by(deflater.checksum)
    return written + trailer(checksum)


@given(st.lists(st.lists(st.binary(max_size=300), max_size=4), max_size=6))
def test_readers_of_a_single_member_read_all_parts(parts: list[list[bytes]]) -> None:
    plain = b"".join(chunk for chunks in parts for chunk in chunks)
    written = member(parts)
    reader = zlib.decompressobj(wbits=31)
    assert reader.decompress(written) == plain == gzip.decompress(written)
    assert reader.eof
    assert reader.unused_data == b""


@pytest.mark.parametrize("megabytes", [1, 9])
def test_readers_of_a_single_member_read_large_parts(megabytes: int) -> None:
    chunk = random.Random(1).randbytes(megabytes * 2**20)
    assert zlib.decompress(member([[chunk], [chunk[::-1]]]), wbits=31) == chunk + chunk[::-1]


def test_the_same_parts_give_the_same_bytes() -> None:
    parts = [[b"time,device_id\n"], [b"a" * 1000, b"b" * 1000]]
    assert member(parts) == member(parts)
    assert member(parts)[4:8] == b"\x00\x00\x00\x00"
