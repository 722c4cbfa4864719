"""Compares the migrations that the database has with those of the code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from headend.config.program import PROGRAM

_MAX_NAMES = 3


@dataclass(frozen=True)
class SchemaDifference:
    """Migrations as ``app.name``: ``missing`` in the database, and ``unknown`` to the code."""

    missing: tuple[str, ...]
    unknown: tuple[str, ...]


def schema_difference() -> SchemaDifference:
    """Return the difference. Writes nothing."""
    executor = MigrationExecutor(connection)
    loader = executor.loader
    plan = executor.migration_plan(loader.graph.leaf_nodes())
    installed = {config.label for config in apps.get_app_configs()}
    # Other programs may have their tables in the same database.
    unknown = [
        key
        for key in (loader.applied_migrations or {})
        if key[0] in installed and key not in loader.disk_migrations
    ]
    return SchemaDifference(
        tuple(f"{migration.app_label}.{migration.name}" for migration, _ in plan),
        tuple(f"{app}.{name}" for app, name in sorted(unknown)),
    )


def refuse_other_schema() -> None:
    """Raise ``ImproperlyConfigured`` if the database does not have exactly the migrations of this release.

    Writes nothing, and creates no file.
    """
    if database_file_is_missing():
        raise ImproperlyConfigured(
            f"DATABASE_URL: {connection.settings_dict['NAME']} does not exist. Run `{PROGRAM} setup`."
        )
    difference = schema_difference()
    _refuse_newer(difference)
    if difference.missing:
        raise ImproperlyConfigured(
            f"DATABASE_URL: {older_schema(difference.missing)}. {OLDER_SCHEMA_HINT}"
        )


def database_file_is_missing() -> bool:
    """Return whether the database is a missing SQLite file. Connecting to it would create an empty file."""
    name = str(connection.settings_dict["NAME"])
    in_memory = ":memory:" in name or "mode=memory" in name
    return connection.vendor == "sqlite" and not in_memory and not Path(name).exists()


def refuse_newer_schema() -> None:
    """Raise ``ImproperlyConfigured`` if a newer release of headend has migrated the database."""
    _refuse_newer(schema_difference())


def _refuse_newer(difference: SchemaDifference) -> None:
    if difference.unknown:
        raise ImproperlyConfigured(
            f"DATABASE_URL: {newer_schema(difference.unknown)}. {NEWER_SCHEMA_HINT}"
        )


NEWER_SCHEMA_HINT = "Install that release again, or restore the backup from before the upgrade."


def newer_schema(unknown: tuple[str, ...]) -> str:
    """Return a sentence without a full stop about migrations that the code does not know."""
    return f"a newer release of headend has migrated the database ({migration_names(unknown)})"


OLDER_SCHEMA_HINT = f"Stop all processes, run `{PROGRAM} setup`, and start them again."


def older_schema(missing: tuple[str, ...]) -> str:
    """Return a sentence without a full stop about migrations that the database does not have."""
    return f"the database is older than the code ({migration_names(missing)})"


def migration_names(migrations: tuple[str, ...]) -> str:
    """Return the first names, and how many more there are."""
    more = len(migrations) - _MAX_NAMES
    return ", ".join(migrations[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
