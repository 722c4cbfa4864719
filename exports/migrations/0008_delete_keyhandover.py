"""Private keys are no longer stored until their download: the hand-over page holds the only copy."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def delete_permissions(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Delete the permissions on the table, which Django leaves behind."""
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    permissions.filter(
        content_type__app_label="exports", content_type__model="keyhandover"
    ).delete()


class Migration(migrations.Migration):
    """Delete the table. The public keys are in ``SshKey``; reversing makes the table again, empty."""

    dependencies = [("exports", "0007_ways_of_fetching_by_name")]

    operations = [
        migrations.RunPython(delete_permissions, migrations.RunPython.noop),
        migrations.DeleteModel("KeyHandOver"),
    ]
