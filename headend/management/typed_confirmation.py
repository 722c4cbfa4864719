"""The question that a command asks before it does something that cannot be undone."""

from __future__ import annotations

from django.core.management.base import CommandError


def confirm_by_typing(name: str, *, warning: str, unchanged: str) -> None:
    """Return if the user types ``name``. Raises ``CommandError`` otherwise.

    Args:
        name: What the command changes.
        warning: A sentence that says what the command does.
        unchanged: A sentence for a user who does not confirm.
    """
    try:
        typed = input(f"{warning} Type {name} to confirm: ").strip()
    except EOFError:
        raise CommandError(f"{warning} {unchanged} Add --yes to confirm.") from None
    if typed != name:
        raise CommandError(f"{typed!r} is not {name}. {unchanged}")
