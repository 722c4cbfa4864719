"""``manage.py timestream``: create, show or delete the Timestream database and table that ``READINGS_URL`` names."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from headend.config.program import PROGRAM
from readings.engines import without_password
from readings.management.help_formatter import CommandWithExamples, ExampleFormatter
from readings.repositories.timestream.address import TimestreamAddress
from readings.repositories.timestream.hour_counts import HOUR
from readings.repositories.timestream.store import TimestreamStore
from readings.repositories.timestream.table import MAGNETIC_RETENTION, MEMORY_RETENTION
from readings.repository_errors import RepositoryUnavailableError
from readings.window import DAY

_MAX_MEMORY_HOURS, _MAX_MAGNETIC_DAYS = 8766, 73_000
"""The limits of the service: a year and 200 years."""


class Command(CommandWithExamples):
    """Creates, shows or deletes the table. Each action can be repeated, which changes nothing."""

    help = (
        "Create, show or delete the database and the table in Amazon Timestream for LiveAnalytics that "
        "READINGS_URL names. boto3 finds the credentials.\n"
        "Example:\n"
        "  export READINGS_URL='timestream://devices/readings?region=us-east-1'\n"
        f"  {PROGRAM} timestream create\n"
        f"  {PROGRAM} timestream status"
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
                f"  {PROGRAM} timestream create --memory-hours 24 --magnetic-days 365"
            ),
        )
        create.add_argument(
            "--memory-hours",
            type=int,
            default=MEMORY_RETENTION // HOUR,
            help=(
                f"hours that readings stay in the fast memory store, 1 to {_MAX_MEMORY_HOURS} "
                f"(default: {MEMORY_RETENTION // HOUR})"
            ),
        )
        create.add_argument(
            "--magnetic-days",
            type=int,
            default=MAGNETIC_RETENTION // DAY,
            help=(
                f"days until readings are deleted, 1 to {_MAX_MAGNETIC_DAYS} "
                f"(default: {MAGNETIC_RETENTION // DAY})"
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
                f"READINGS_URL is {without_password(settings.READINGS_URL)}; this command needs timestream://database/table."
            )
        address = TimestreamAddress.of(settings.READINGS_URL)
        store = TimestreamStore(address)
        try:
            if options["action"] == "create":
                self._create(store, options)
            elif options["action"] == "status":
                self._show_status(store)
            else:
                self._destroy(store, confirmed=options["yes"])
        except RepositoryUnavailableError as error:
            raise CommandError(str(error)) from error

    def _create(self, store: TimestreamStore, options: dict[str, Any]) -> None:
        memory_hours, magnetic_days = options["memory_hours"], options["magnetic_days"]
        for option, value, maximum in (
            ("--memory-hours", memory_hours, _MAX_MEMORY_HOURS),
            ("--magnetic-days", magnetic_days, _MAX_MAGNETIC_DAYS),
        ):
            if not 1 <= value <= maximum:
                raise CommandError(f"{option} takes a whole number from 1 to {maximum}.")
        for line in store.create(memory_hours * HOUR, magnetic_days * DAY):
            self.stdout.write(line)
        self._show_status(store)

    def _show_status(self, store: TimestreamStore) -> None:
        if not store.exists():
            self.stdout.write(
                f"{store.name} does not exist. `{PROGRAM} timestream create` creates it."
            )
            return
        for line in store.describe():
            self.stdout.write(line)

    def _destroy(self, store: TimestreamStore, *, confirmed: bool) -> None:
        if not confirmed and store.exists():
            raise CommandError(
                f"This deletes the table {store.name} with every reading in it, and the database if it has no "
                "other table. Nothing was deleted. Add --yes to confirm."
            )
        lines = store.destroy() if confirmed else [f"table {store.name}: does not exist"]
        for line in lines:
            self.stdout.write(line)
