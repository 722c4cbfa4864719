"""Rotates secrets: for some days, both the old and the new value are valid.

The old value of the secret ``<name>`` is stored as the secret ``<name>.old``: a JSON object with the value and the end of
its validity. A secrets store cannot delete, so a value that became invalid at once is replaced by an empty text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from headend.config.secrets import Secrets

OVERLAP = timedelta(days=7)
"""How long the old value of a secret stays valid: the other side has this time to use the new one."""


class OverlapError(Exception):
    """The value before the last rotation is still valid. Another rotation would make it invalid too early."""


@dataclass(frozen=True)
class OldValue:
    """A value that was replaced, and the end of its validity."""

    value: str
    valid_until: datetime


def old_value(store: Secrets, name: str) -> OldValue | None:
    """Return the old value of a secret, or None if it has none that is still valid."""
    stored = store.get(_old_name(name))
    if stored is None:
        return None
    record = json.loads(stored)
    old = OldValue(record["value"], datetime.fromisoformat(record["valid_until"]))
    return old if old.value and old.valid_until > datetime.now(UTC) else None


def valid_values(store: Secrets, name: str, make: Callable[[], str]) -> list[str]:
    """Return the secret, which is created if it is missing, and then its old value if that is still valid."""
    current, old = store.get_or_make(name, make), old_value(store, name)
    # Both are the same if a rotation was interrupted.
    return [current] if old is None or old.value == current else [current, old.value]


def rotate(
    store: Secrets, name: str, make: Callable[[], str], *, at_once: bool = False
) -> datetime | None:
    """Replace a secret by the result of ``make``. The old value stays valid for :data:`OVERLAP`, unless ``at_once``.

    The caller must hold the lock ``ROTATE`` of :mod:`headend.config.command_lock`. So of two rotations at the same time,
    the second sees the old value that the first has stored.

    Return until when the old value is valid; None if there is none, or with ``at_once``. Raises :class:`OverlapError` if
    an older value is still valid. With ``at_once``, that value becomes invalid too.
    """
    old, current = old_value(store, name), store.get(name)
    if old is not None and old.value != current and not at_once:
        raise OverlapError(
            f"The secret was rotated before, and its old value is valid until {old.valid_until:%Y-%m-%d %H:%M} UTC."
        )
    # The old value is stored first: if the next step fails, the secret is unchanged and valid.
    now, valid_until = datetime.now(UTC), None
    if at_once:
        if old is not None:
            _store_old(store, name, OldValue("", now))
    elif current is not None:
        valid_until = now + OVERLAP
        _store_old(store, name, OldValue(current, valid_until))
    store.put(name, make())
    return valid_until


def _store_old(store: Secrets, name: str, old: OldValue) -> None:
    record = {"value": old.value, "valid_until": old.valid_until.isoformat()}
    store.put(_old_name(name), json.dumps(record))


def _old_name(name: str) -> str:
    return f"{name}.old"
