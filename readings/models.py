"""What the simulated fleet has delivered so far, and what each interval in the store comes to."""

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


class IntervalTotals(models.Model):
    """What the readings of one minute come to; kept here as a page has no time to read them."""

    time = models.DateTimeField(unique=True)
    readings = models.BigIntegerField()
    late = models.BigIntegerField(help_text="How many arrived later than their time.")
    kw = models.FloatField(help_text="The sum of their active power.")

    class Meta:
        ordering = ["time"]
        verbose_name_plural = "interval totals"

    def __str__(self) -> str:
        return self.time.isoformat()
