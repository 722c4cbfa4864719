"""One gzip member out of parts that are deflated apart, on any thread or machine (as pigz does).

RFC 1952: a header, a deflate stream, the CRC-32 and the length of what it holds. The stream is
the parts' raw deflate blocks, each part ended by a full flush (RFC 1951: byte-aligned, and
what follows refers to nothing before it), closed by an empty final block.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from isal import isal_zlib

# Magic, deflate, no flags, no time (so that the same readings make the same bytes), no extra flags, Unix.
HEADER = b"\x1f\x8b\x08\x00" + b"\x00\x00\x00\x00" + b"\x00\x03"
_EMPTY_FINAL_BLOCK = b"\x03\x00"
_LEVEL = 1


@dataclass(frozen=True)
class Checksum:
    """The CRC-32 and the length in bytes of some plain bytes."""

    crc32: int = 0
    length: int = 0

    def followed_by(self, other: Checksum) -> Checksum:
        """The checksum of these bytes and the other's behind them, without seeing either."""
        crc32 = isal_zlib.crc32_combine(self.crc32, other.crc32, other.length)
        return Checksum(crc32, self.length + other.length)


class PartDeflater:
    """Deflates the plain bytes of one part as they come."""

    def __init__(self) -> None:
        self._stream = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
        self.checksum = Checksum()

    def deflate(self, plain: bytes) -> bytes:
        """The blocks that are ready after these bytes."""
        self.checksum = Checksum(
            isal_zlib.crc32(plain, self.checksum.crc32), self.checksum.length + len(plain)
        )
        return bytes(self._stream.compress(plain))

    def flush(self) -> bytes:
        """The rest of the part, ended so that any part can follow."""
        return bytes(self._stream.flush(isal_zlib.Z_FULL_FLUSH))


def trailer(checksum: Checksum) -> bytes:
    """What closes the member behind its last part."""
    return _EMPTY_FINAL_BLOCK + struct.pack("<LL", checksum.crc32, checksum.length % 2**32)
