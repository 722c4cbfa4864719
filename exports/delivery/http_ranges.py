"""HTTP headers for partial and conditional downloads: Range, If-Range and If-None-Match (RFC 9110)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.http import parse_etags

_SINGLE_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


class RangeNotSatisfiableError(Exception):
    """The requested range contains no byte of the file."""


@dataclass(frozen=True)
class ByteRange:
    """The bytes of a file from ``start`` (included) to ``end`` (excluded)."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.end - self.start


def parse_range(range_header: str, size: int) -> ByteRange | None:
    """Return the range that a ``Range`` header requests of a file of ``size`` bytes.

    Return None if the complete file has to be sent: there is no header, it has several ranges or
    another unit, or it is malformed. RFC 9110 allows a server to ignore such headers.
    Raises :class:`RangeNotSatisfiableError`.
    """
    match = _SINGLE_RANGE.fullmatch(range_header.strip())
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return _suffix(int(last), size) if last else None
    start, end = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiableError
    return ByteRange(start, end)


def _suffix(length: int, size: int) -> ByteRange:
    if not length or not size:
        raise RangeNotSatisfiableError
    return ByteRange(max(0, size - length), size)


def matches_if_range(if_range_header: str | None, etag: str) -> bool:
    """Return whether an ``If-Range`` header permits a partial answer for the file with this ETag.

    A missing header permits it. A date does not: it cannot prove that the file is the same.
    """
    return if_range_header is None or if_range_header.strip() == etag


def matches_if_none_match(if_none_match_header: str, etag: str) -> bool:
    """Return whether an ``If-None-Match`` header says that the client already has the file with this ETag."""
    known = [tag.removeprefix("W/") for tag in parse_etags(if_none_match_header)]
    return etag in known or known == ["*"]
