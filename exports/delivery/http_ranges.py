"""The HTTP headers by which a client asks for a part of a file, or for one it does not have yet (RFC 9110)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.http import parse_etags

_ONE_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


class RangeNotSatisfiableError(Exception):
    """The range has no byte of the file in it."""


@dataclass(frozen=True)
class Stretch:
    """The bytes from ``start`` up to ``end``."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


def wanted_stretch(range_header: str, size: int) -> Stretch | None:
    """What a ``Range`` asks for of a file of ``size`` bytes; None for all of it.

    Several ranges, other units and what cannot be read count as no range at all, as the RFC
    allows. Raises :class:`RangeNotSatisfiableError`.
    """
    match = _ONE_RANGE.fullmatch(range_header.strip())
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
    return Stretch(start, end)


def _suffix(length: int, size: int) -> Stretch:
    if not length or not size:
        raise RangeNotSatisfiableError
    return Stretch(max(0, size - length), size)


def is_still_the_same(if_range_header: str | None, etag: str) -> bool:
    """Whether the file is the one of which the client has a part. A date does not prove that."""
    return if_range_header is None or if_range_header.strip() == etag


def is_there_already(if_none_match_header: str, etag: str) -> bool:
    """Whether the client has the very file."""
    known = [given.removeprefix("W/") for given in parse_etags(if_none_match_header)]
    return etag in known or known == ["*"]
