"""``manage.py setup``: everything a deployment needs before its processes start, made where it is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from headend.config import checks
from headend.deployment import bootstrap
from readings.frame import format_instant
from readings.ingest.deployment_fleet import deployment_fleet
from readings.repositories import RepositoryUnavailableError, repository
from readings.window import Window

FIRST_READINGS = timedelta(hours=1)


class Command(BaseCommand):
    """Tables, static files, the default supplier, the operator, a first hour of readings."""

    help = (
        "Make what the deployment's processes need: tables, static files, the default supplier with its "
        "keys, an operator's login and, for a simulated fleet, a first hour of readings. What is there "
        "stays as it is; run does this by itself. Where processes run on many hosts, run it once after "
        "each upgrade, and the Procfile's processes wherever they are wanted. "
        "Example: DATABASE_URL=postgresql://… python manage.py setup"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Take the steps that were not taken yet."""
        self._step("state folder", str(settings.HEADEND_HOME))
        call_command("migrate", verbosity=0)
        self._step("database", settings.DATABASES["default"]["ENGINE"].rpartition(".")[2])
        call_command("collectstatic", verbosity=0, interactive=False)
        supplier = bootstrap.ensure_default_supplier()
        self._step("supplier", supplier.name)
        for problem in checks.anonymous_supplier_is_a_supplier(databases=["default"]):
            raise CommandError(f"{problem.msg} {problem.hint}")
        bootstrap.ensure_operator()
        self._step("operator", bootstrap.OPERATOR)
        if settings.SIMULATION:
            try:
                self._simulate()
            except RepositoryUnavailableError as error:
                raise CommandError(str(error)) from error
        if settings.HEADEND_ANONYMOUS_SUPPLIER:
            self.stderr.write(
                self.style.WARNING(
                    "  ! HEADEND_ANONYMOUS_SUPPLIER is on: whoever reaches the API without a key acts "
                    f"as {settings.HEADEND_ANONYMOUS_SUPPLIER}."
                )
            )

    def _simulate(self) -> None:
        fleet = deployment_fleet()
        if not _holds_readings():
            start = fleet.newest_interval(timezone.now()) - FIRST_READINGS + fleet.interval
            call_command("backfill", start=format_instant(start))
        self._step("fleet", f"{fleet.devices:,} meters, every {fleet.interval_minutes} minutes")
        self._step("readings", _room_they_take())

    def _step(self, name: str, value: str) -> None:
        self.stdout.write(f"{self.style.SUCCESS('  ✓')} {name:<13} {value}")
        self.stdout.flush()


def _room_they_take() -> str:
    if settings.IN_TIMESTREAM:
        return "in Timestream; `manage.py timestream status` shows how long they are kept"
    days = settings.READINGS_RETENTION_DAYS
    kept = f"kept for {days} days" if days else "kept for good; READINGS_RETENTION_DAYS bounds it"
    return f"about {bootstrap.gigabytes_a_day():.2g} GB a day, {kept}"


def _holds_readings() -> bool:
    everything = Window(datetime.min.replace(tzinfo=UTC))
    return len(repository().snapshot().page(everything, offset=0, size=1).readings) > 0
