from django.db import migrations, models


class Migration(migrations.Migration):
    """A default in the database: during an upgrade, processes of the previous version insert rows without the column."""

    dependencies = [
        ('readings', '0004_meters'),
    ]

    operations = [
        migrations.AlterField(
            model_name='intervaltotals',
            name='recorded',
            field=models.BigIntegerField(db_default=0, default=0, help_text='Number of readings when their meters were recorded.', verbose_name='readings with recorded meters'),
        ),
    ]
