"""Which errors of the database are outages, and not bugs."""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, OperationalError


def is_database_outage(error: BaseException) -> bool:
    """Return whether ``error`` means that the database cannot be used now.

    For example, it cannot be reached, its disk is full, or another process locks it for too long. SQLite raises a plain
    ``DatabaseError`` for a file that is damaged or no database. Other errors, such as a broken constraint, are bugs.
    """
    return isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError


def first_line(error: BaseException) -> str:
    """Return the message without the drivers' further lines, which have hints and parts of the statement."""
    return next(iter(str(error).splitlines()), type(error).__name__)
