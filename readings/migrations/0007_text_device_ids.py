from django.db import migrations
from django.db.models.functions import Length

import readings.models


def delete_long_ids(apps, schema_editor):
    """Delete the meters that the previous version cannot store. Their readings stay in the repository."""
    meters = apps.get_model('readings', 'Meter').objects.annotate(length=Length('device_id'))
    meters.filter(length__gt=36).delete()


class Migration(migrations.Migration):
    """Device ids of up to 64 characters, which PostgreSQL sorts by their bytes as SQLite does."""

    dependencies = [
        ('readings', '0006_energy_and_revision'),
    ]

    operations = [
        migrations.AlterField(
            model_name='meter',
            name='device_id',
            field=readings.models.DeviceIdColumn(max_length=64, unique=True),
        ),
        # The last one, so that it runs before the others when the migration is reversed.
        migrations.RunPython(migrations.RunPython.noop, delete_long_ids, elidable=True),
    ]
