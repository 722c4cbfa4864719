from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def record_profile(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Record the profile of the deployment. Until this migration, the default was ``uniform``."""
    written = (apps.get_model("readings", name) for name in ("LiveArrival", "IntervalTotals"))
    has_readings = any(model._default_manager.exists() for model in written)
    profile = "uniform" if has_readings else "mixed"
    apps.get_model("readings", "SimulatedFleet")._default_manager.create(pk=1, profile=profile)


class Migration(migrations.Migration):

    dependencies = [
        ('readings', '0009_last_time_of_meters'),
    ]

    operations = [
        migrations.CreateModel(
            name='SimulatedFleet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('profile', models.CharField(help_text='How the values of the meters are drawn.', max_length=32)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('pk', 1)), name='readings_one_simulated_fleet')],
            },
        ),
        migrations.RunPython(record_profile, migrations.RunPython.noop),
    ]
