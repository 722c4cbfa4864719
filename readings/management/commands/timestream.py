"""``manage.py timestream``: create, show or delete the Timestream database and table that ``READINGS_URL`` names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from readings.management.help_formatter import CommandWithExamples, ExampleFormatter
from readings.repositories.timestream.address import Address
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.table import MAGNETIC_RETENTION, MEMORY_RETENTION, Table
from readings.repository_errors import RepositoryUnavailableError

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MAX_MEMORY_HOURS, _MAX_MAGNETIC_DAYS = 8766, 73_000
"""The limits of the service: a year and 200 years."""


class Command(CommandWithExamples):
    """Creates, shows or deletes the table. Each action can be repeated, which changes nothing."""

    help = (
        "Create, show or delete the database and the table in Amazon Timestream for LiveAnalytics that "
        "READINGS_URL names. boto3 finds the credentials.\n"
        "Example:\n"
        "  export READINGS_URL='timestream://devices/readings?region=us-east-1'\n"
        "  python manage.py timestream create\n"
        "  python manage.py timestream status"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the actions and their options."""
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser(
            "create",
            help="create the database and the table if they do not exist",
            formatter_class=ExampleFormatter,
            description=(
                "Create the database and the table if they do not exist. The options apply only to a new "
                "table.\nExample:\n"
                "  python manage.py timestream create --memory-hours 24 --magnetic-days 365"
            ),
        )
        create.add_argument(
            "--memory-hours",
            type=int,
            default=MEMORY_RETENTION // _HOUR,
            help=(
                f"hours that readings stay in the fast memory store, 1 to {_MAX_MEMORY_HOURS} "
                f"(default: {MEMORY_RETENTION // _HOUR})"
            ),
        )
        create.add_argument(
            "--magnetic-days",
            type=int,
            default=MAGNETIC_RETENTION // _DAY,
            help=(
                f"days until readings are deleted, 1 to {_MAX_MAGNETIC_DAYS} "
                f"(default: {MAGNETIC_RETENTION // _DAY})"
            ),
        )
        actions.add_parser("status", help="show whether the table exists, and its retention")
        destroy = actions.add_parser(
            "destroy",
            help="delete the table with all readings, and the database if it has no other table",
        )
        destroy.add_argument("--yes", action="store_true", help="confirm that readings are deleted")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the action."""
        if not settings.READINGS_URL.startswith("timestream://"):
            raise CommandError(
                f"READINGS_URL is {settings.READINGS_URL}; this command needs timestream://database/table."
            )
        address = Address.of(settings.READINGS_URL)
        table = Table(address, Clients(address))
        try:
            if options["action"] == "create":
                self._create(address, table, options)
            elif options["action"] == "status":
                self._show_status(address, table)
            else:
                self._destroy(address, table, confirmed=options["yes"])
        except RepositoryUnavailableError as error:
            raise CommandError(str(error)) from error

    def _create(self, address: Address, table: Table, options: dict[str, Any]) -> None:
        memory_hours, magnetic_days = options["memory_hours"], options["magnetic_days"]
        for option, value, maximum in (
            ("--memory-hours", memory_hours, _MAX_MEMORY_HOURS),
            ("--magnetic-days", magnetic_days, _MAX_MAGNETIC_DAYS),
        ):
            if not 1 <= value <= maximum:
                raise CommandError(f"{option} takes a whole number from 1 to {maximum}.")
        created = table.create_database()
        self.stdout.write(f"database {address.database}: {_created_or_exists(created=created)}")
        created = table.create(memory_hours * _HOUR, magnetic_days * _DAY)
        self.stdout.write(f"table {address.table}: {_created_or_exists(created=created)}")
        self._show_status(address, table)

    def _show_status(self, address: Address, table: Table) -> None:
        name = f"{address.database}.{address.table}"
        if not table.exists():
            self.stdout.write(f"{name} does not exist. `manage.py timestream create` creates it.")
            return
        state = table.state()
        writes = "on" if state.magnetic_writes else "off"
        self.stdout.write(
            f"{name}: {state.status}; readings stay {state.memory // _HOUR} h in the memory store and are "
            f"deleted after {state.magnetic // _DAY} days; magnetic store writes (late readings) are {writes}"
        )
        if not state.magnetic_writes:
            self.stdout.write("Readings that are older than the memory store keeps are refused.")

    def _destroy(self, address: Address, table: Table, *, confirmed: bool) -> None:
        name = f"{address.database}.{address.table}"
        if not table.exists():
            self.stdout.write(f"table {name}: does not exist")
        elif not confirmed:
            raise CommandError(
                f"This deletes the table {name} with every reading in it, and the database if it has no "
                "other table. Nothing was deleted. Add --yes to confirm."
            )
        else:
            table.delete()
            self.stdout.write(f"table {name}: deleted")
        if confirmed and table.delete_database_if_empty():
            self.stdout.write(f"database {address.database}: deleted, it had no other table")


def _created_or_exists(*, created: bool) -> str:
    return "created" if created else "exists already"
