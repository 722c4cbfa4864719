"""What the simulated fleet has delivered so far."""

from __future__ import annotations

from django.db import models


class LiveArrival(models.Model):
    """An instant at which readings of the live fleet were due, and that all of them are kept."""

    at = models.DateTimeField(unique=True)
    readings = models.BigIntegerField(help_text="How many were new.")
    kept_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return self.at.isoformat()
