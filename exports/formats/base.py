"""What a format of bulk files is: text in one gzip member, made of parts that know nothing of each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class FileFormat:
    """A format. ``head`` opens the file; ``rows`` turns a readings frame into the bytes that follow."""

    name: str
    media_type: str
    extension: str
    head: bytes
    rows: Callable[[pl.DataFrame], bytes]
