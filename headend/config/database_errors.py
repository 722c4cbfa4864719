"""Which errors of the database are outages, and not bugs."""

from __future__ import annotations

from pathlib import Path

from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError, connection


def is_database_outage(error: BaseException) -> bool:
    """Return whether ``error`` means that the database cannot be used now.

    For example, it cannot be reached, its disk is full, or another process locks it for too long. SQLite raises a plain
    ``DatabaseError`` for a file that is damaged or no database. Other errors, such as a broken constraint, are bugs.
    """
    return isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError


def first_line(error: BaseException) -> str:
    """Return the message without the drivers' further lines, which have hints and parts of the statement."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def has_no_tables(error: BaseException) -> bool:
    """Return whether the error of a query means that the database was never set up."""
    if connection.vendor != "sqlite":
        return isinstance(error, ProgrammingError)
    return "no such table" in str(error) or not Path(connection.settings_dict["NAME"]).exists()
