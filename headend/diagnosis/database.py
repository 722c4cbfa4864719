"""Checks of the database: connection, permissions, migrations, and its clock."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from headend.config.database_errors import first_line, is_database_outage
from headend.deployment.schema import (
    NEWER_SCHEMA_HINT,
    migration_names,
    newer_schema,
    schema_difference,
)
from headend.diagnosis.finding import Finding, failed, ok, warning, without_secrets
from readings.engines import without_password

HINT = "Correct DATABASE_URL, and check that the server runs and can be reached from this host."
WARNING_DIFFERENCE_SECONDS = 1.0
_SET_UP = "Run `manage.py setup`."
_HINTS = {
    r"password|authentication|role .* does not exist": "Correct the user and the password in DATABASE_URL.",
    r"database .* does not exist": "Create the database, or correct its name in DATABASE_URL.",
    r"permission denied": "Give the user of DATABASE_URL the permission to create tables: GRANT CREATE ON SCHEMA public.",
    r"too many (clients|connections)|remaining connection slots": "Raise max_connections of the server, or start fewer processes.",
    r"disk|full|space": "Make space on the disk of the database.",
    r"read-?only": "DATABASE_URL must name a server and a disk that can be written, and no replica.",
    r"locked": "Another process holds the database for too long; end it, or use PostgreSQL.",
}
"""What to do, by a pattern of the driver's message."""


def check_database() -> list[Finding]:
    """Connect, and create a table in a transaction that is rolled back."""
    if _sqlite_file_is_missing():
        return [failed(f"{_place()} does not exist", _SET_UP)]
    started = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        elapsed = time.monotonic() - started
        # Only a write shows whether the disk is full, or the server a replica. Migrations need this permission too.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE TABLE headend_doctor (id integer)")
            transaction.set_rollback(True)
    except Exception as error:
        if not is_database_outage(error):
            raise
        message = first_line(error)
        return [failed(without_secrets(message.rstrip(".")), _hint(message))]
    return [ok(f"{_version()}, {_place()}, connected in {elapsed * 1000:.0f} ms")]


def check_migrations() -> list[Finding]:
    """Compare the migrations of the database with those of the code."""
    if _sqlite_file_is_missing():
        return [failed("there is no database", _SET_UP)]
    difference = schema_difference()
    if difference.unknown:
        return [failed(newer_schema(difference.unknown), NEWER_SCHEMA_HINT)]
    if difference.missing:
        return [
            failed(
                f"the database is older than the code ({migration_names(difference.missing)})",
                "Stop all processes, run `manage.py setup`, and start them again.",
            )
        ]
    return [ok("the database has all migrations")]


def check_clock() -> list[Finding]:
    """Compare the clock of this host with that of the database's server."""
    if connection.vendor == "sqlite":
        return [ok("the database uses the clock of this host")]
    # The first statement of a connection takes longer, and so says less about the clock.
    connection.ensure_connection()
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        there = float(cursor.fetchone()[0])
    after = time.time()
    # The server's clock was read between the two instants.
    return [clock_finding(max(0.0, there - after, before - there))]


def clock_finding(seconds: float) -> Finding:
    """Return what a difference of the clocks means. Workers compare their own clocks with the ends of leases."""
    text = f"{seconds:.1f} s between the clocks of this host and of the database"
    hint = "Synchronise the clocks of all hosts with NTP (`timedatectl`)."
    if seconds >= settings.EXPORTS_LEASE_SECONDS / 2:
        return failed(f"{text}; another worker could claim a step that is still running", hint)
    if seconds >= WARNING_DIFFERENCE_SECONDS:
        return warning(text, hint)
    return ok(text)


def _hint(message: str) -> str:
    for pattern, hint in _HINTS.items():
        if re.search(pattern, message, re.IGNORECASE):
            return hint
    return HINT


def _version() -> str:
    if connection.vendor == "sqlite":
        version = sqlite3.sqlite_version
    else:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            version = cursor.fetchone()[0]
    return f"{connection.display_name} {version}"


def _place() -> str:
    name = str(connection.settings_dict["NAME"])
    return name if connection.vendor == "sqlite" else without_password(settings.DATABASE_URL)


def _sqlite_file_is_missing() -> bool:
    # To connect would create an empty file.
    name = str(connection.settings_dict["NAME"])
    in_memory = ":memory:" in name or "mode=memory" in name
    return connection.vendor == "sqlite" and not in_memory and not Path(name).exists()
