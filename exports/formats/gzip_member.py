"""One gzip member from parts that are compressed independently, on any thread or machine (as pigz does it).

RFC 1952: a gzip member is a header, a deflate stream, and the CRC-32 and length of the uncompressed
bytes. Here the stream consists of the parts' raw deflate blocks. Each part ends with a full flush
(RFC 1951): it ends on a byte boundary, and the next part refers to nothing before it. An empty
final block closes the stream.

The file has one member because some readers stop after the first one, without an error.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from isal import isal_zlib

# Magic number, method deflate, no flags; time 0, so that the same readings give the same bytes; no extra flags, Unix.
HEADER = b"\x1f\x8b\x08\x00" + b"\x00\x00\x00\x00" + b"\x00\x03"
_EMPTY_FINAL_BLOCK = b"\x03\x00"
_LEVEL = 1


@dataclass(frozen=True)
class Checksum:
    """The CRC-32 and the length of uncompressed bytes."""

    crc32: int = 0
    length: int = 0

    def followed_by(self, other: Checksum) -> Checksum:
        """Return the checksum of these bytes followed by the other bytes, without reading either."""
        crc32 = isal_zlib.crc32_combine(self.crc32, other.crc32, other.length)
        return Checksum(crc32, self.length + other.length)


class PartDeflater:
    """Compresses one part of the member, block by block."""

    def __init__(self) -> None:
        self._stream = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
        self.checksum = Checksum()
        """The checksum of all bytes compressed so far."""

    def deflate(self, plain: bytes | memoryview) -> bytes:
        """Add uncompressed bytes and return the compressed bytes that are ready."""
        self.checksum = Checksum(
            isal_zlib.crc32(plain, self.checksum.crc32), self.checksum.length + len(plain)
        )
        return bytes(self._stream.compress(plain))

    def flush(self) -> bytes:
        """Return the rest of the part. It ends with a full flush, so any part can follow."""
        return bytes(self._stream.flush(isal_zlib.Z_FULL_FLUSH))


def trailer(checksum: Checksum) -> bytes:
    """Return the bytes that close a member whose uncompressed content has this checksum."""
    return _EMPTY_FINAL_BLOCK + struct.pack("<LL", checksum.crc32, checksum.length % 2**32)
