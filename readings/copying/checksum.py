"""A checksum of readings, to compare a copy with its source."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl

from readings import frame


class Checksum:
    """The number of readings, and a checksum of all their columns. Readings are added in order of time and device id.

    The checksum does not depend on the engine, nor on how the readings are divided into frames. Its formula:

    1. For each of the ten columns, take the SHA-256 of its values in order of (``time``, ``device_id``).
       An instant is the number of microseconds since 1970. Instants and ``load`` are encoded as signed 64-bit integers,
       the other numbers as 64-bit IEEE 754 doubles (0.0 instead of -0.0), all of them little-endian. A text is encoded
       as UTF-8, followed by a line feed.
    2. The checksum is the SHA-256 of these ten digests (32 bytes each), in the order of ``frame.COLUMNS``.
    """

    def __init__(self) -> None:
        self.readings = 0
        self._columns = {name: hashlib.sha256() for name in frame.COLUMNS}

    def add(self, readings: pl.DataFrame) -> None:
        """Add a readings frame that follows those added before."""
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
        text: str = column.str.join("\n", ignore_nulls=False).item()
        return f"{text}\n".encode()
    values = column.to_physical().to_numpy()
    if column.dtype.is_float():
        # Adding zero turns -0.0 into 0.0.
        return (values + 0.0).astype("<f8", copy=False).tobytes()
    return values.astype(np.dtype("<i8"), copy=False).tobytes()
