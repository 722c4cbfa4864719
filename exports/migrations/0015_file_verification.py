from django.db import migrations, models


class Migration(migrations.Migration):
    """The lease of the task that verifies stored files, and when a file is verified again."""

    dependencies = [
        ('exports', '0014_database_defaults'),
    ]

    operations = [
        migrations.AddField(
            model_name='filerequest',
            name='verify_after',
            field=models.DateTimeField(blank=True, editable=False, help_text='When the stored file is verified again, if it is damaged or could not be read.', null=True),
        ),
        migrations.AddIndex(
            model_name='filerequest',
            index=models.Index(condition=models.Q(('verify_after__isnull', False)), fields=['verify_after'], name='files_to_verify_again'),
        ),
        migrations.CreateModel(
            name='FileVerification',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('attempts', models.PositiveIntegerField(default=0, editable=False, help_text='How often a worker claimed the row.')),
                ('lease', models.UUIDField(blank=True, editable=False, help_text="The token of the worker's claim.", null=True)),
                ('leased_until', models.DateTimeField(blank=True, editable=False, help_text='When the lease expires, or when the row can be claimed after a failure.', null=True)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='one_file_verification')],
            },
        ),
    ]
