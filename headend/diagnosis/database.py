"""Checks of the database: connection, permissions, migrations, and its clock."""

from __future__ import annotations

import sqlite3
import time

from django.conf import settings
from django.db import connection, transaction

from headend.config.database_errors import first_line, hint_of, is_database_outage
from headend.config.program import PROGRAM
from headend.deployment.schema import (
    NEWER_SCHEMA_HINT,
    OLDER_SCHEMA_HINT,
    database_file_is_missing,
    newer_schema,
    older_schema,
    schema_difference,
)
from headend.diagnosis.finding import Finding, failed, ok, warning, without_secrets
from readings.engines import without_password

WARNING_DIFFERENCE_SECONDS = 1.0
_SET_UP = f"Run `{PROGRAM} setup`."


def check_database() -> list[Finding]:
    """Connect, and create a table in a transaction that is rolled back."""
    if database_file_is_missing():
        return [failed(f"{_place()} does not exist", _SET_UP)]
    started = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        elapsed = time.monotonic() - started
        # Only a write shows a full disk or a replica. Migrations need this permission too.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE TABLE headend_doctor (id integer)")
            transaction.set_rollback(True)
    except Exception as error:
        if not is_database_outage(error):
            raise
        message = first_line(error)
        return [failed(without_secrets(message.rstrip(".")), hint_of(message))]
    return [ok(f"{_version()}, {_place()}, connected in {elapsed * 1000:.0f} ms")]


def check_migrations() -> list[Finding]:
    """Compare the migrations of the database with those of the code."""
    if database_file_is_missing():
        return [failed("there is no database", _SET_UP)]
    difference = schema_difference()
    if difference.unknown:
        return [failed(newer_schema(difference.unknown), NEWER_SCHEMA_HINT)]
    if difference.missing:
        return [
            failed(
                older_schema(difference.missing),
                OLDER_SCHEMA_HINT,
            )
        ]
    return [ok("the database has all migrations")]


def check_clock() -> list[Finding]:
    """Compare the clock of this host with that of the database's server."""
    if connection.vendor == "sqlite":
        return [ok("the database uses the clock of this host")]
    # The first statement of a connection takes longer, so it measures the clock less exactly.
    connection.ensure_connection()
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        there = float(cursor.fetchone()[0])
    after = time.time()
    # The server read its clock between the two instants.
    return [clock_finding(max(0.0, there - after, before - there))]


def clock_finding(seconds: float) -> Finding:
    """Return the finding for a difference of the clocks. Workers compare their clocks with the ends of leases."""
    text = f"{seconds:.1f} s between the clocks of this host and of the database"
    hint = "Synchronise the clocks of all hosts with NTP (`timedatectl`)."
    if seconds >= settings.EXPORTS_LEASE_SECONDS / 2:
        return failed(f"{text}; another worker could claim a step that is still running", hint)
    if seconds >= WARNING_DIFFERENCE_SECONDS:
        return warning(text, hint)
    return ok(text)


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
