import uuid

from django.db import migrations, models


class Migration(migrations.Migration):
    """Changes only the labels of fields in the admin, and nothing in the database."""

    dependencies = [('exports', '0016_some_meters_and_columns')]

    operations = [
        migrations.AlterField(
            model_name='delivery',
            name='id',
            field=models.UUIDField(
                default=uuid.uuid4,
                editable=False,
                primary_key=True,
                serialize=False,
                verbose_name='ID',
            ),
        ),
        migrations.AlterField(
            model_name='filerequest',
            name='id',
            field=models.UUIDField(
                default=uuid.uuid4,
                editable=False,
                primary_key=True,
                serialize=False,
                verbose_name='ID',
            ),
        ),
        migrations.AlterField(
            model_name='filerequest',
            name='sha256',
            field=models.CharField(blank=True, max_length=64, verbose_name='SHA-256'),
        ),
        migrations.AlterField(
            model_name='meterlist',
            name='sha256',
            field=models.CharField(
                help_text='Of the device ids.', max_length=64, unique=True, verbose_name='SHA-256'
            ),
        ),
        migrations.AlterField(
            model_name='webhook',
            name='url',
            field=models.URLField(max_length=500, verbose_name='URL'),
        ),
    ]
