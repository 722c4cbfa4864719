"""The roles of staff users: groups with their permissions."""

from __future__ import annotations

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

HISTORY = ["filerequest", "exportpart", "delivery", "deliveryattempt", "filefetch"]
SET_UP = ["supplier", "apikey", "sshkey", "pushtarget", "webhook"]
READINGS = ["livearrival", "intervaltotals"]
PEOPLE = ["user", "group"]

VIEWER = {f"view_{model}" for model in [*HISTORY, *SET_UP, *READINGS]}
OPERATOR = VIEWER | {"add_filerequest", "change_filerequest"}
ADMINISTRATOR = (
    OPERATOR
    | {f"{verb}_{model}" for model in SET_UP for verb in ("add", "change", "delete")}
    | {f"{verb}_{model}" for model in PEOPLE for verb in ("view", "add", "change", "delete")}
)
ROLES = {"viewer": VIEWER, "operator": OPERATOR, "administrator": ADMINISTRATOR}


def make_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the groups. Django creates permissions after all migrations, so they are created here first."""
    for label in ("exports", "readings", "auth"):
        config = apps.get_app_config(label)
        # create_permissions skips an app without a models module, and the app of a migration has none.
        config.models_module = models
        create_permissions(config, verbosity=0, using=schema_editor.connection.alias, apps=apps)
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    for name, may in ROLES.items():
        group, _ = groups.get_or_create(name=name)
        group.permissions.set(permissions.filter(codename__in=may))


def remove_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Delete the groups."""
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    groups.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    """Depends on all tables that a role has permissions for."""

    dependencies = [
        ("exports", "0003_files_to_expire"),
        ("readings", "0002_interval_totals"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(make_roles, remove_roles)]
