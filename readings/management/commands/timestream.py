"""``manage.py timestream``: the database and table that ``READINGS_URL`` names, made, shown, removed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from readings.repositories import RepositoryUnavailableError
from readings.repositories.timestream.address import Address
from readings.repositories.timestream.clients import Clients
from readings.repositories.timestream.table import MAGNETIC, MEMORY, Table

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class Command(BaseCommand):
    """Sets up Timestream."""

    help = (
        "Make, show or remove the database and table in Amazon Timestream for LiveAnalytics that "
        "READINGS_URL names. Whatever is done already is left as it is. Example: "
        "READINGS_URL='timestream://devices/readings?region=us-east-1' python manage.py timestream create"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do."""
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make the database and the table")
        create.add_argument(
            "--memory-hours",
            type=int,
            default=MEMORY // _HOUR,
            help=f"how long readings stay in the memory store ({MEMORY // _HOUR})",
        )
        create.add_argument(
            "--magnetic-days",
            type=int,
            default=MAGNETIC // _DAY,
            help=f"how long readings are kept at all ({MAGNETIC // _DAY})",
        )
        actions.add_parser("status", help="show what there is")
        destroy = actions.add_parser("destroy", help="remove the table and every reading in it")
        destroy.add_argument("--yes", action="store_true", help="really do it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do one of the three."""
        if not settings.READINGS_URL.startswith("timestream://"):
            raise CommandError(
                f"READINGS_URL is {settings.READINGS_URL}; this is about timestream://database/table."
            )
        address = Address.of(settings.READINGS_URL)
        table = Table(address, Clients(address))
        name = f"{address.database}.{address.table}"
        try:
            if options["action"] == "create":
                self._create(address, table, options)
            elif options["action"] == "status":
                self._status(name, table)
            else:
                self._destroy(address, table, sure=options["yes"])
        except RepositoryUnavailableError as error:
            raise CommandError(str(error)) from error

    def _create(self, address: Address, table: Table, options: dict[str, Any]) -> None:
        memory, magnetic = options["memory_hours"] * _HOUR, options["magnetic_days"] * _DAY
        for name, given, least, most in (
            ("--memory-hours", options["memory_hours"], 1, 8766),
            ("--magnetic-days", options["magnetic_days"], 1, 73_000),
        ):
            if not least <= given <= most:
                raise CommandError(f"{name} takes a whole number from {least} to {most}.")
        made = table.create_database()
        self.stdout.write(f"database {address.database}: {'made' if made else 'there already'}")
        made = table.create(memory, magnetic)
        self.stdout.write(f"table {address.table}: {'made' if made else 'there already'}")
        self._status(f"{address.database}.{address.table}", table)

    def _status(self, name: str, table: Table) -> None:
        if not table.exists():
            self.stdout.write(f"{name} is not there; `manage.py timestream create` makes it.")
            return
        state = table.state()
        writes = "on" if state.magnetic_writes else "off"
        self.stdout.write(
            f"{name}: {state.status}; readings stay {state.memory // _HOUR} h in the memory store and are "
            f"kept {state.magnetic // _DAY} days; magnetic store writes (late readings) are {writes}"
        )
        if not state.magnetic_writes:
            self.stdout.write("Readings older than the memory store keeps are refused.")

    def _destroy(self, address: Address, table: Table, *, sure: bool) -> None:
        name = f"{address.database}.{address.table}"
        if not table.exists():
            self.stdout.write(f"table {name}: not there")
        elif not sure:
            raise CommandError(
                f"This removes the table {name} and every reading in it, and the database if no other "
                "table is in it. Nothing was done. Say it with --yes."
            )
        else:
            table.delete()
            self.stdout.write(f"table {name}: removed")
        if sure and table.delete_database_if_empty():
            self.stdout.write(f"database {address.database}: removed, as it held no other table")
