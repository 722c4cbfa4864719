from django.db import migrations, models


class Migration(migrations.Migration):
    """Defaults in the database: during an upgrade, processes of the previous version insert rows without the columns.

    The defaults are right for rows of earlier versions: their readings had no energy and no corrections.
    """

    dependencies = [
        ('readings', '0005_default_of_recorded'),
    ]

    operations = [
        migrations.AddField(
            model_name='intervaltotals',
            name='import_kwh',
            field=models.FloatField(db_default=0, default=0, help_text='Sum of the energy of the readings that imported energy, kWh.', verbose_name='imported energy, kWh'),
        ),
        migrations.AddField(
            model_name='intervaltotals',
            name='export_kwh',
            field=models.FloatField(db_default=0, default=0, help_text='Sum of the energy of the readings that exported energy, as a positive number, kWh.', verbose_name='exported energy, kWh'),
        ),
        migrations.AddField(
            model_name='intervaltotals',
            name='revision',
            field=models.BigIntegerField(db_default=0, default=0, help_text='The revision of the minute when it was summed. It changes with each correction.'),
        ),
    ]
