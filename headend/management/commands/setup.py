"""``manage.py setup``: create what the processes of a deployment need and what is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from exports.checks import anonymous_supplier_exists, staff_belong_to_no_supplier
from headend.config.command_lock import SETUP, one_at_a_time
from headend.config.folders import create_folders
from headend.config.private_files import make_private
from headend.config.program import PROGRAM
from headend.config.project_command import ProjectCommand
from headend.deployment import bootstrap, outputs
from headend.deployment.schema import refuse_newer_schema
from headend.deployment.static_files import collect_static_files
from readings.described_table import check_table, describe
from readings.engines import engine_of
from readings.ingest.deployment_fleet import deployment_fleet
from readings.ingest.fleet_profile import record_profile
from readings.instants import FIRST_INSTANT, format_instant
from readings.repositories import repository
from readings.repository_errors import RepositoryUnavailableError
from readings.window import Window

FIRST_BACKFILL = timedelta(hours=1)


class Command(ProjectCommand):
    """Creates folders, tables, static files, the default supplier, the operator, and the first readings."""

    help = (
        "Create what the deployment's processes need: folders, tables, static files, the default supplier "
        "with its keys, an operator and, for a simulated fleet, the readings of the last hour. What exists "
        "stays as it is. `run` does the same before it starts the processes. If the processes run on several hosts, run "
        "setup on each of them, also after each upgrade, and then start the processes of the Procfile there. "
        f"Example: DATABASE_URL=postgresql://… {PROGRAM} setup"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing and print each step."""
        create_folders(settings.FOLDERS)
        # Two setups that create the same tables at the same time would fail.
        with one_at_a_time(SETUP, settings.HEADEND_HOME, connection, on_wait=self._print_wait):
            self._create_what_is_missing()

    def _print_wait(self) -> None:
        self._print_warning(
            f"Another `{PROGRAM} setup` is running with this home folder or database. Waiting until it ends."
        )

    def _create_what_is_missing(self) -> None:
        for sentence in make_private(settings.HEADEND_HOME):
            self._print_warning(sentence)
        self._print_step("home folder", str(settings.HEADEND_HOME))
        bootstrap.check_secrets()
        bootstrap.check_broker()
        bootstrap.check_export_store()
        refuse_newer_schema()
        try:
            check_table(repository())
        except RepositoryUnavailableError as error:
            raise CommandError(f"READINGS_URL: {error}") from error
        # All services work, so the following steps are not interrupted halfway by one that does not.
        call_command("migrate", verbosity=0)
        self._print_step("database", settings.DATABASES["default"]["ENGINE"].rpartition(".")[2])
        record_profile()
        collect_static_files()
        supplier = bootstrap.ensure_default_supplier()
        self._print_step("supplier", supplier.name)
        outputs.write_known_hosts()
        for problem in anonymous_supplier_exists(databases=["default"]):
            raise CommandError(f"{problem.msg} {problem.hint}")
        bootstrap.ensure_operator()
        self._print_step("operator", bootstrap.OPERATOR)
        for problem in staff_belong_to_no_supplier(databases=["default"]):
            self._print_warning(f"{problem.msg} {problem.hint}")
        try:
            if describe(repository()):
                self._print_warning(
                    "READINGS_URL names another table of readings than before. The records of written intervals,"
                    " the interval totals and the table of meters were deleted. They are computed again."
                )
            if settings.SIMULATION:
                self._write_first_readings()
        except RepositoryUnavailableError as error:
            raise CommandError(f"READINGS_URL: {error}") from error
        if settings.HEADEND_COMPATIBILITY == "aws":
            self._print_warning(
                "HEADEND_COMPATIBILITY is aws:"
                f" HEADEND_ANONYMOUS_SUPPLIER is {settings.HEADEND_ANONYMOUS_SUPPLIER},"
                f" EXPORTS_EMPTY_STATUS is {settings.EXPORTS_EMPTY_STATUS},"
                f" SFTP_PORT is {settings.SFTP_PORT}."
            )
        if settings.HEADEND_ANONYMOUS_SUPPLIER:
            self._print_warning(
                "HEADEND_ANONYMOUS_SUPPLIER is on: anyone who can reach the API acts as"
                f" {settings.HEADEND_ANONYMOUS_SUPPLIER}, without an API key."
            )

    def _write_first_readings(self) -> None:
        fleet = deployment_fleet()
        if not _has_readings():
            start = fleet.newest_interval(timezone.now()) - FIRST_BACKFILL + fleet.interval
            call_command("backfill", start=format_instant(start))
        self._print_step(
            "fleet",
            f"{fleet.devices:,} meters, every {fleet.interval_minutes} minutes, {fleet.profile}",
        )
        self._print_step("readings", _storage_estimate())

    def _print_step(self, name: str, value: str) -> None:
        self.stdout.write(f"{self.style.SUCCESS('  ✓')} {name:<13} {value}")
        self.stdout.flush()

    def _print_warning(self, sentence: str) -> None:
        self.stderr.write(self.style.WARNING(f"  ! {sentence}"))
        self.stderr.flush()


def _storage_estimate() -> str:
    engine = engine_of(settings.READINGS_URL)
    if not engine.capabilities.deletes_whole_days:
        return f"in {engine.title}; `{PROGRAM} store status` shows the retention"
    days = settings.READINGS_RETENTION_DAYS
    retention = (
        f"deleted after {days} days" if days else "never deleted; READINGS_RETENTION_DAYS limits it"
    )
    return f"about {bootstrap.gigabytes_per_day():.2g} GB per day, {retention}"


def _has_readings() -> bool:
    everything = Window(FIRST_INSTANT)
    return len(repository().snapshot().page(everything, offset=0, size=1).readings) > 0
