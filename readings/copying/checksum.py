"""A checksum of readings, to compare a copy with its source."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl

from readings import frame

_MISSING = np.int64(-(2**63))
"""As the bits of a double this is -0.0, which is never encoded otherwise."""


class Checksum:
    """The number of readings, and a checksum of all their columns. Readings are added sorted by ``frame.VERSION``.

    The checksum does not depend on the engine, nor on how the readings are divided into frames. Its formula:

    1. For each of the 14 columns, take the SHA-256 of its values in order of (``time``, ``device_id``,
       ``arrival_time``). An instant is the number of microseconds since 1970. Instants and ``load`` are encoded as
       signed 64-bit integers, the other numbers as 64-bit IEEE 754 doubles (0.0 instead of -0.0), all of them
       little-endian. A text is encoded as UTF-8, followed by a line feed. A missing number is encoded as the integer
       -2^63, a missing text as empty text.
    2. The checksum is the SHA-256 of these 14 digests (32 bytes each), in the order of ``frame.FULL_COLUMNS``.
    """

    def __init__(self) -> None:
        self.readings = 0
        self._columns = {name: hashlib.sha256() for name in frame.FULL_COLUMNS}

    def add(self, readings: pl.DataFrame) -> None:
        """Add readings that follow those added before, with all columns of ``frame.FULL_SCHEMA``."""
        for name, digest in self._columns.items():
            digest.update(_bytes(readings[name]))
        self.readings += len(readings)

    def hexdigest(self) -> str:
        """Return the checksum of all readings that were added."""
        digests = b"".join(digest.digest() for digest in self._columns.values())
        return hashlib.sha256(digests).hexdigest()

    def differing_columns(self, other: Checksum) -> list[str]:
        """Return the names of the columns whose values are not the same."""
        return [
            name
            for name, digest in self._columns.items()
            if digest.digest() != other._columns[name].digest()
        ]


def _bytes(column: pl.Series) -> bytes:
    if not len(column):
        return b""
    if column.dtype == pl.String():
        text: str = column.fill_null("").str.join("\n").item()
        return f"{text}\n".encode()
    numbers = column.to_physical()
    values = numbers.fill_null(0).to_numpy()
    if column.dtype.is_float():
        # Adding zero turns -0.0 into 0.0.
        values = (values + 0.0).view(np.int64)
    if numbers.has_nulls():
        values = np.where(numbers.is_null().to_numpy(), _MISSING, values)
    return values.astype(np.dtype("<i8"), copy=False).tobytes()
