"""Requests, parts and deliveries get the same lease fields; other fields get clear names. Data is kept."""

import django.db.models.deletion
from django.db import migrations, models

LEASE_FIELDS = {
    "attempts": models.PositiveIntegerField(
        default=0, editable=False, help_text="How often a worker claimed the row."
    ),
    "lease": models.UUIDField(
        blank=True, editable=False, help_text="The token of the worker's claim.", null=True
    ),
    "leased_until": models.DateTimeField(
        blank=True,
        editable=False,
        help_text="When the lease expires, or when the row can be claimed after a failure.",
        null=True,
    ),
}
LEASED = ["filerequest", "exportpart", "delivery"]


WRITTEN_PART = models.CheckConstraint(
    condition=models.Q(
        models.Q(("state", "written"), _negated=True),
        models.Q(
            models.Q(("path", ""), _negated=True),
            ("format_state__isnull", False),
            ("size__isnull", False),
        ),
        _connector="OR",
    ),
    name="written_part_has_its_bytes",
)


class Migration(migrations.Migration):
    dependencies = [("exports", "0008_delete_keyhandover")]

    operations = [
        # The related name was `attempts`, which is now a field of Delivery.
        migrations.AlterField(
            "deliveryattempt",
            "delivery",
            models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="attempt_log",
                to="exports.delivery",
            ),
        ),
        migrations.RenameField("delivery", "tries", "attempts"),
        migrations.RenameField("supplier", "most_queued", "max_queued"),
        migrations.RenameField("supplier", "most_running", "max_running"),
        migrations.RenameField("filerequest", "turn_at", "priority_at"),
        # The constraint names the field, so it is replaced together with it.
        migrations.RemoveConstraint("exportpart", "written_part_has_its_bytes"),
        migrations.RenameField("exportpart", "note", "format_state"),
        migrations.AddConstraint("exportpart", WRITTEN_PART),
        migrations.AlterField(
            "exportpart",
            "format_state",
            models.JSONField(
                help_text="What the file format needs to know about the part when it is joined.",
                null=True,
            ),
        ),
        migrations.AlterField(
            "filerequest",
            "priority_at",
            models.DateTimeField(
                blank=True,
                editable=False,
                help_text="Workers write the parts of the request with the earliest time first.",
                null=True,
            ),
        ),
        *(
            migrations.AlterField(model, name, field.clone())
            for model in LEASED
            for name, field in LEASE_FIELDS.items()
        ),
    ]
