"""Permissions of the roles for the tables of migration 0005."""

from __future__ import annotations

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

VIEWER = {"view_sftpsession", "view_supplierperson", "view_keyhandover"}
OPERATOR = VIEWER | {"change_delivery"}
ADMINISTRATOR = OPERATOR | {f"{verb}_supplierperson" for verb in ("add", "change", "delete")}
ROLES = {"viewer": VIEWER, "operator": OPERATOR, "administrator": ADMINISTRATOR}


def extend_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Add permissions to the groups. Django creates permissions after all migrations, so they are created here first."""
    config = apps.get_app_config("exports")
    # create_permissions skips an app without a models module, and the app of a migration has none.
    config.models_module = models
    create_permissions(config, verbosity=0, using=schema_editor.connection.alias, apps=apps)
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    for name, may in ROLES.items():
        for group in groups.filter(name=name):
            group.permissions.add(*permissions.filter(codename__in=may))


def cut_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Remove the permissions from the groups."""
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    for name, may in ROLES.items():
        for group in groups.filter(name=name):
            group.permissions.remove(*permissions.filter(codename__in=may))


class Migration(migrations.Migration):
    """Depends on the tables that the permissions are for."""

    dependencies = [("exports", "0005_people_sessions_hand_overs")]

    operations = [migrations.RunPython(extend_roles, cut_roles)]
