"""The columns of a reading that a caller chooses, as text."""

from __future__ import annotations

from collections.abc import Iterable

from readings import frame

ALL = "all"
"""This text means all columns."""
RULE = f"write {ALL}, or names separated by commas: {', '.join(frame.FULL_COLUMNS)}"
"""What a caller can choose, for error messages."""


def parse_columns(text: str) -> list[str]:
    """Return the columns that ``text`` names, in its order. Spaces around a name are ignored.

    Raises ``ValueError`` with a sentence if a column is unknown or repeated, if there is none, or if ``all`` is one of
    several.
    """
    if text.strip() == ALL:
        return frame.FULL_COLUMNS
    names = [name.strip() for name in text.split(",")]
    if ALL in names:
        raise ValueError(f"{ALL} cannot be combined with other names; {RULE}.")
    for number, name in enumerate(names):
        if name not in frame.FULL_SCHEMA:
            raise ValueError(f"{name[:40]!r} is not a column; {RULE}.")
        if name in names[:number]:
            raise ValueError(f"{name!r} is repeated; {RULE}.")
    return names


def columns_or_default(text: str) -> list[str]:
    """Return the columns that ``text`` names; those of the contract if it is empty."""
    return parse_columns(text) if text else frame.COLUMNS


def format_columns(columns: Iterable[str]) -> str:
    """Return the text from which :func:`parse_columns` makes these columns."""
    return ",".join(columns)
