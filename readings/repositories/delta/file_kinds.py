"""The three kinds of data files. The name of a file says its kind, so the table's log is enough to know it.

A *main file* holds one version of each of its readings. All main files together hold each reading once, so their rows
are the number of readings. All other versions are in files of two more kinds. Every writer commits alone, so it knows
the main files when it decides where a version belongs.
"""

from __future__ import annotations

import uuid
from datetime import date
from enum import Enum

import polars as pl

PARTITION = "day"
"""The table's partition column: the UTC date of ``time``. Other programs that read the table rely on it."""


class Kind(Enum):
    """What the versions in a data file are. The value is a part of the name of the file."""

    MAIN = ""
    CORRECTIONS = "-corrections"
    """They arrived later than the version in the main file."""
    REPLACED = "-replaced"
    """They arrived earlier than the version in the main file. Only a reader with ``as_of`` may need them."""


def new_name(day: date, kind: Kind) -> str:
    """Return a name for a new data file, relative to the table's folder."""
    return f"{PARTITION}={day.isoformat()}/part-{uuid.uuid4()}{kind.value}.zstd.parquet"


def is_of_kind(kind: Kind, column: str) -> pl.Expr:
    """Return an expression: whether a column names a file of this kind. Files of other programs are main files."""
    name = pl.col(column)
    if kind is Kind.MAIN:
        others = (each for each in Kind if each is not Kind.MAIN)
        return ~pl.any_horizontal(is_of_kind(each, column) for each in others)
    return name.str.ends_with(f"{kind.value}.zstd.parquet")
