"""What the live fleet has written, totals of each interval and customer class, and the known meters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from readings.device_ids import MAX_LENGTH

_AFTER_ALL_IDS = "\U0010ffff"
"""The last character of Unicode. It is not printable, so no device id contains it."""


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


class AwaitedInterval(models.Model):
    """A past interval that a backfill has written before any of its readings arrived, as during an outage.

    Nothing of it is stored, so this row tells the live fleet to write its late readings.
    """

    time = models.DateTimeField(unique=True, help_text="The time of the interval's readings.")

    class Meta:
        ordering = ["-time"]

    def __str__(self) -> str:
        return self.time.isoformat()


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


class ClassEnergy(models.Model):
    """The energy that the meters of a customer class imported and exported in one hour."""

    hour = models.DateTimeField(help_text="The start of the hour.")
    customer_class = models.CharField(
        max_length=40, blank=True, help_text="Empty for meters without a customer class."
    )
    readings = models.BigIntegerField(help_text="Number of readings.")
    import_kwh = models.FloatField("imported energy, kWh")
    export_kwh = models.FloatField(
        "exported energy, kWh", help_text="Exported energy as a positive number, kWh."
    )
    revision = models.BigIntegerField(
        default=0, help_text="The sum of the revisions of the hour's minutes when it was summed."
    )

    class Meta:
        ordering = ["hour", "customer_class"]
        verbose_name_plural = "energy by customer class"
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "customer_class"], name="readings_one_energy_of_hour_and_class"
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour.isoformat()} {self.customer_class}"


class DeviceIdColumn(models.CharField[str, str]):
    """Text that the database sorts by its bytes, as Polars and Python do.

    SQLite does it by default. PostgreSQL sorts by the rules of a language if no collation is given.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        """Return Django's parameters of the column, with its collation."""
        collation = "C" if connection.vendor == "postgresql" else None
        return {**super().db_parameters(connection), "collation": collation}


class Meters(models.QuerySet["Meter"]):
    """Selections of meters."""

    def with_prefix(self, prefix: str, *, after: str = "") -> Meters:
        """Return the meters whose id begins with ``prefix`` and comes after ``after``. No character is a wildcard.

        A range uses the index in every database. ``LIKE`` does not, and matches ``%`` and ``_`` with other characters.
        """
        meters = self.filter(device_id__lt=prefix + _AFTER_ALL_IDS)
        # Of two lower bounds, SQLite would use the first one only.
        if after >= prefix:
            return meters.filter(device_id__gt=after)
        return meters.filter(device_id__gte=prefix)


_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)


class Meter(models.Model):
    """A meter that has sent readings, for searches and lists: the repository has too many readings to search."""

    device_id = DeviceIdColumn(max_length=MAX_LENGTH, unique=True)
    last_day = models.DateField(
        db_index=True, help_text="The last day (UTC) with readings, at the time of the last update."
    )
    # During an upgrade, processes of the previous version insert rows without it.
    last_time = models.DateTimeField(
        "recent reading",
        default=_UNKNOWN,
        db_default=_UNKNOWN,
        help_text="A time up to which the meter has sent readings: at the last update, at most an hour before its newest reading.",
    )

    objects = Meters.as_manager()

    class Meta:
        ordering = ["device_id"]
        # In the order in which silent meters are listed.
        indexes = [models.Index(fields=["last_time", "device_id"], name="meter_by_last_time")]

    def __str__(self) -> str:
        return self.device_id


class DescribedTable(models.Model):
    """The table of readings that the other models describe. It has one row at most, see ``described_table.py``."""

    table_id = models.CharField(max_length=1024, help_text="The id of the table in its repository.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="readings_one_described_table")
        ]

    def __str__(self) -> str:
        return self.table_id


class SimulatedFleet(models.Model):
    """The profile of the simulated fleet. It has one row at most, see ``fleet_profile.py``."""

    profile = models.CharField(max_length=32, help_text="How the values of the meters are drawn.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="readings_one_simulated_fleet")
        ]

    def __str__(self) -> str:
        return self.profile
