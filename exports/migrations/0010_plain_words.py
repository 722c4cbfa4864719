"""Help texts and names in plain words. The database itself does not change."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('exports', '0009_one_lease'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='filefetch',
            options={'ordering': ['-started_at'], 'verbose_name': 'download'},
        ),
        migrations.AlterModelOptions(
            name='supplierperson',
            options={'ordering': ['supplier', 'user'], 'verbose_name': 'supplier user', 'verbose_name_plural': 'supplier users'},
        ),
        migrations.AlterField(
            model_name='apikey',
            name='prefix',
            field=models.CharField(editable=False, help_text='The first characters of the key.', max_length=16),
        ),
        migrations.AlterField(
            model_name='deliveryattempt',
            name='outcome',
            field=models.CharField(blank=True, help_text="The answer of the supplier's server, or the error.", max_length=500),
        ),
        migrations.AlterField(
            model_name='filefetch',
            name='peer',
            field=models.CharField(help_text='The IP address of the client.', max_length=64),
        ),
        migrations.AlterField(
            model_name='filefetch',
            name='way',
            field=models.CharField(choices=[('sftp', 'SFTP'), ('link', 'Signed link'), ('portal', 'Portal')], max_length=16),
        ),
        migrations.AlterField(
            model_name='filefetch',
            name='who',
            field=models.CharField(help_text='The fingerprint of the SSH key, or the user name.', max_length=200),
        ),
        migrations.AlterField(
            model_name='filerequest',
            name='as_of',
            field=models.DateTimeField(blank=True, help_text='Readings with a later arrival time are not in the file.', null=True),
        ),
        migrations.AlterField(
            model_name='filerequest',
            name='removed_at',
            field=models.DateTimeField(blank=True, help_text='When the expired file was deleted from the export store.', null=True),
        ),
        migrations.AlterField(
            model_name='pushtarget',
            name='folder',
            field=models.CharField(default='.', help_text='An existing folder. Files keep their names in it.', max_length=500),
        ),
        migrations.AlterField(
            model_name='pushtarget',
            name='host_key',
            field=models.TextField(help_text="The server's public key: one line as in known_hosts, without the host. No other key is accepted."),
        ),
        migrations.AlterField(
            model_name='sftpsession',
            name='peer',
            field=models.CharField(help_text='The IP address of the client.', max_length=64),
        ),
        migrations.AlterField(
            model_name='sftpsession',
            name='who',
            field=models.CharField(help_text='The fingerprint of the SSH key.', max_length=200),
        ),
        migrations.AlterField(
            model_name='supplier',
            name='active',
            field=models.BooleanField(default=True, help_text='An inactive supplier can use neither the API nor SFTP.'),
        ),
        migrations.AlterField(
            model_name='supplier',
            name='max_queued',
            field=models.PositiveIntegerField(blank=True, help_text='How many file requests may be queued. Empty: EXPORTS_QUEUED_PER_SUPPLIER.', null=True, validators=[django.core.validators.MinValueValidator(1)]),
        ),
        migrations.AlterField(
            model_name='supplier',
            name='max_running',
            field=models.PositiveIntegerField(blank=True, help_text='How many file requests may run at once. Empty: EXPORTS_RUNNING_PER_SUPPLIER.', null=True, validators=[django.core.validators.MinValueValidator(1)]),
        ),
        migrations.AlterField(
            model_name='supplier',
            name='name',
            field=models.CharField(help_text='Also the SFTP user name.', max_length=64, unique=True, validators=[django.core.validators.RegexValidator('^[a-z][a-z0-9_-]*\\Z', 'Use lower-case letters, digits, - and _, and start with a letter.')]),
        ),
    ]
