import django.db.models.deletion
from django.db import migrations, models
from django.utils import timezone


def fail_requests_of_a_part(apps, schema_editor):
    """Fail the active requests that the previous version would run as requests for all meters, arrivals or columns."""
    requests = apps.get_model('exports', 'FileRequest').objects
    requests.filter(
        ~models.Q(meter_count=0, arrived_after=None, columns=''),
        status__in=['queued', 'submitted', 'running'],
    ).update(
        status='failed',
        reason='an earlier version was installed, which cannot write a file of some meters, arrivals or columns',
        finished_at=timezone.now(),
        lease=None,
        leased_until=None,
    )


class Migration(migrations.Migration):
    """File requests of some meters, of what arrived after an instant, and with chosen columns."""

    dependencies = [
        ('exports', '0015_file_verification'),
    ]

    operations = [
        migrations.CreateModel(
            name='MeterList',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sha256', models.CharField(help_text='Of the device ids.', max_length=64, unique=True)),
                ('device_ids', models.TextField(help_text='Ascending, separated by commas.')),
            ],
        ),
        migrations.AddField(
            model_name='filerequest',
            name='arrived_after',
            field=models.DateTimeField(blank=True, help_text='Only readings with a later arrival time are in the file.', null=True),
        ),
        migrations.AddField(
            model_name='filerequest',
            name='columns',
            field=models.CharField(blank=True, db_default='', default='', help_text='The columns of the file, separated by commas; empty means those of the contract.', max_length=200),
        ),
        migrations.AddField(
            model_name='filerequest',
            name='meter_count',
            field=models.PositiveIntegerField(db_default=0, default=0, help_text='The length of the list of meters.'),
        ),
        migrations.AddField(
            model_name='filerequest',
            name='meter_list',
            field=models.ForeignKey(blank=True, help_text='Empty means all meters.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='file_requests', to='exports.meterlist'),
        ),
        migrations.AddConstraint(
            model_name='filerequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('meter_count', 0), ('meter_list__isnull', True)), models.Q(('meter_count__gt', 0), ('meter_list__isnull', False)), _connector='OR'), name='file_request_counts_its_meters'),
        ),
        # The last one, so that it runs before the others when the migration is reversed.
        migrations.RunPython(migrations.RunPython.noop, fail_requests_of_a_part, elidable=True),
    ]
