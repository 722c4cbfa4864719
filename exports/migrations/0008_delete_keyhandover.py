"""Private keys are no longer stored until their download: the hand-over page holds the only copy."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """Delete the table. The public keys are in ``SshKey``; reversing makes the table again, empty."""

    dependencies = [("exports", "0007_ways_of_fetching_by_name")]

    operations = [migrations.DeleteModel("KeyHandOver")]
