"""Meter ids as text: which text is one, and its canonical form."""

from __future__ import annotations

import re

MAX_LENGTH = 64
RULE = f"1 to {MAX_LENGTH} printable characters without comma"
"""What a meter id is, for error messages."""
_QUOTED_LENGTH = 40
_UUID = re.compile(
    r"([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})", re.I
)


def is_uuid(device_id: str) -> bool:
    """Return whether a meter id, in its canonical form, is a UUID."""
    return _UUID.fullmatch(device_id) is not None


def parse_device_id(text: str) -> str:
    """Return the canonical form of a meter id.

    Spaces around it are removed. A UUID, which may be written without hyphens, becomes lower case with hyphens. Other
    ids stay as they are: ``a1`` and ``A1`` are two meters.

    Raises ``ValueError`` if the text is not a meter id, with a sentence that says which rule it breaks.
    """
    text = text.strip()
    if not 0 < len(text) <= MAX_LENGTH or "," in text or not text.isprintable():
        quoted = text if len(text) <= _QUOTED_LENGTH else text[:_QUOTED_LENGTH] + "…"
        raise ValueError(f"{quoted!r} is not a meter id: it {_broken_rule(text)}.")
    uuid = _UUID.fullmatch(text)
    return "-".join(uuid.groups()).lower() if uuid else text


def _broken_rule(text: str) -> str:
    if not text:
        return "is empty"
    if len(text) > MAX_LENGTH:
        return f"has {len(text)} characters; at most {MAX_LENGTH} are possible"
    if "," in text:
        return "contains a comma"
    return "contains a character that cannot be printed"
