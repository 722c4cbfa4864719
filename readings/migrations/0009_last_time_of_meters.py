import datetime

from django.db import migrations, models


def start_with_last_day(apps, schema_editor):
    """A meter has sent readings after the midnight with which its last day starts."""
    meters = apps.get_model('readings', 'Meter').objects
    for day in meters.order_by().values_list('last_day', flat=True).distinct():
        midnight = datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC)
        meters.filter(last_day=day).update(last_time=midnight)


class Migration(migrations.Migration):
    """A default in the database: during an upgrade, processes of the previous version insert rows without the column."""

    dependencies = [
        ('readings', '0008_described_table'),
    ]

    operations = [
        migrations.AddField(
            model_name='meter',
            name='last_time',
            field=models.DateTimeField(
                db_default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.UTC),
                default=datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.UTC),
                help_text='A time up to which the meter has sent readings: at the last update, at most an hour before its newest reading.',
                verbose_name='recent reading',
            ),
        ),
        migrations.RunPython(start_with_last_day, migrations.RunPython.noop, elidable=True),
        migrations.AddIndex(
            model_name='meter',
            index=models.Index(fields=['last_time', 'device_id'], name='meter_by_last_time'),
        ),
    ]
