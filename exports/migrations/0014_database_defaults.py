from django.db import migrations, models


class Migration(migrations.Migration):
    """Defaults in the database for columns that were added to existing tables.

    During an upgrade, processes of the previous version still insert rows. They do not know these columns.
    """

    dependencies = [
        ('exports', '0013_verified_files'),
    ]

    operations = [
        migrations.AlterField(
            model_name='filerequest',
            name='damage',
            field=models.CharField(blank=True, db_default='', default='', help_text='What is wrong with the stored file.', max_length=500),
        ),
        migrations.AlterField(
            model_name='pushtarget',
            name='layout',
            field=models.CharField(choices=[('request', 'one folder for each file request'), ('flat', 'all files directly in the folder')], db_default='request', default='request', help_text='In the flat layout, the name of each file begins with the id of its request.', max_length=16),
        ),
        migrations.AlterField(
            model_name='pushtarget',
            name='temporary_name',
            field=models.CharField(choices=[('hidden', '.<name>.part'), ('suffix', '<name>.part'), ('none', 'none')], db_default='hidden', default='hidden', help_text='The name during the upload. With “none”, the supplier sees files before they are complete.', max_length=16),
        ),
        migrations.AlterField(
            model_name='supplier',
            name='can_remove_files',
            field=models.BooleanField(db_default=False, default=False, help_text='A file that the supplier removes is deleted and cannot be restored.', verbose_name='can remove files over SFTP'),
        ),
    ]
