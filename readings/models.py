"""What the live fleet has written, and for the portal the totals of each interval and the known meters."""

from __future__ import annotations

from django.db import models


class LiveArrival(models.Model):
    """An instant at which readings of the live fleet were due. All of them are stored."""

    at = models.DateTimeField(
        "arrival time", unique=True, help_text="The instant at which these readings were due."
    )
    readings = models.BigIntegerField(
        "new readings", help_text="Readings of this instant that were not stored before."
    )
    kept_at = models.DateTimeField("stored at", auto_now_add=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return self.at.isoformat()


class IntervalTotals(models.Model):
    """The totals of the readings of one minute. The portal draws them: reading the repository takes too long."""

    time = models.DateTimeField(unique=True, help_text="The time of the readings, by minute.")
    readings = models.BigIntegerField(help_text="Number of readings.")
    late = models.BigIntegerField(
        "late readings", help_text="Readings whose arrival time is later than their time."
    )
    kw = models.FloatField("power, kW", help_text="Sum of the active power of the readings, kW.")
    import_kwh = models.FloatField(
        "imported energy, kWh",
        default=0,
        db_default=0,
        help_text="Sum of the energy of the readings that imported energy, kWh.",
    )
    export_kwh = models.FloatField(
        "exported energy, kWh",
        default=0,
        db_default=0,
        help_text="Sum of the energy of the readings that exported energy, as a positive number, kWh.",
    )
    revision = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="The revision of the minute when it was summed. It changes with each correction.",
    )
    recorded = models.BigIntegerField(
        "readings with recorded meters",
        default=0,
        db_default=0,
        help_text="Number of readings when their meters were recorded.",
    )

    class Meta:
        ordering = ["time"]
        verbose_name_plural = "interval totals"

    def __str__(self) -> str:
        return self.time.isoformat()


class Meter(models.Model):
    """A meter that has sent readings, for the portal's search: the repository has too many readings to search."""

    device_id = models.CharField(max_length=36, unique=True)
    last_day = models.DateField(
        db_index=True, help_text="The last day (UTC) with readings, at the time of the last update."
    )

    class Meta:
        ordering = ["device_id"]

    def __str__(self) -> str:
        return self.device_id
