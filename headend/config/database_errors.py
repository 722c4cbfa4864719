"""Which errors of the database are outages, and not bugs."""

from __future__ import annotations

import re
from pathlib import Path

from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError, connection

from headend.config.program import PROGRAM

DATABASE_HINT = (
    "Correct DATABASE_URL, and check that the server runs and can be reached from this host."
)
_HINTS = {
    r"certificate": "Set sslrootcert in DATABASE_URL to a file with the certificate of the authority that signed the server's certificate.",
    r"password|authentication|role .* does not exist": "Correct the user and the password in DATABASE_URL.",
    r"database .* does not exist": "Create the database, or correct its name in DATABASE_URL.",
    r"permission denied": "Give the user of DATABASE_URL the permission to create tables: GRANT CREATE ON SCHEMA public.",
    r"too many (clients|connections)|remaining connection slots": "Raise max_connections of the server, or start fewer processes.",
    r"disk|is full|no space left": "Make space on the disk of the database.",
    r"read-?only": "This database is read-only. Set DATABASE_URL to the primary server, not to a replica, and check its disk.",
    r"already exists": f"Another setup may be running: wait until it has ended, and run `{PROGRAM} setup` again.",
    r"locked": "Another process has locked the database for too long. End that process, or use PostgreSQL.",
}
"""What to do, by a pattern of the driver's message."""


def is_database_outage(error: BaseException) -> bool:
    """Return whether ``error`` means that the database cannot be used now.

    For example, it cannot be reached, its disk is full, or another process has locked it. SQLite raises a plain
    ``DatabaseError`` for a file that is damaged or that is not a database. Other errors, such as a broken constraint, are bugs.
    """
    return isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError


def first_line(error: BaseException) -> str:
    """Return the first line of the message. The other lines are hints of the driver and parts of the statement."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def hint_of(message: str) -> str:
    """Return a sentence that says what to do about the error with this message."""
    for pattern, hint in _HINTS.items():
        if re.search(pattern, message, re.IGNORECASE):
            return hint
    return DATABASE_HINT


def has_no_tables(error: BaseException) -> bool:
    """Return whether the error of a query means that the database was never set up."""
    if connection.vendor != "sqlite":
        return isinstance(error, ProgrammingError)
    return "no such table" in str(error) or not Path(connection.settings_dict["NAME"]).exists()
