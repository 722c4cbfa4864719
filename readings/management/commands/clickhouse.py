"""``manage.py clickhouse``: create the tables of a ClickHouse cluster. For one server, use ``manage.py store``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from headend.config.program import PROGRAM
from readings.engines import without_password
from readings.management.help_formatter import CommandWithExamples, ExampleFormatter
from readings.repositories.clickhouse.address import ClickHouseAddress
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.table import Table, create_in_cluster
from readings.repository_errors import RepositoryUnavailableError


class Command(CommandWithExamples):
    """Creates the tables on all servers of a cluster. Tables that exist stay as they are."""

    help = (
        "Create the tables of READINGS_URL on all servers of a ClickHouse cluster. The servers need the macros {shard} "
        f"and {{replica}}, and ClickHouse Keeper. On one server, `{PROGRAM} setup` creates the table.\n"
        "Example:\n"
        "  export READINGS_URL='clickhouse://headend:password@clickhouse.example:8443/headend'\n"
        f"  {PROGRAM} clickhouse create --cluster main"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the action and its options."""
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser(
            "create",
            help="create the tables on all servers of a cluster",
            formatter_class=ExampleFormatter,
            description=(
                "Create a replicated table for the readings of each shard, and a distributed table that stands for all "
                "of them. Tables that exist stay as they are.\nExample:\n"
                f"  {PROGRAM} clickhouse create --cluster main --show"
            ),
        )
        create.add_argument(
            "--cluster", required=True, help="the cluster, as system.clusters names it"
        )
        create.add_argument(
            "--show", action="store_true", help="print the statements and run nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the action."""
        url, cluster = settings.READINGS_URL, options["cluster"]
        if not url.startswith("clickhouse://"):
            raise CommandError(
                f"READINGS_URL is {without_password(url)}; this command needs clickhouse://user:password@host/database."
            )
        address = ClickHouseAddress.of(url)
        if options["show"]:
            for statement in create_in_cluster(address.database, cluster):
                self.stdout.write(f"{statement};")
            return
        try:
            Table(address, Client(address)).create_in_cluster(cluster)
        except RepositoryUnavailableError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"tables of {address.database} in the cluster {cluster}: created, or existed already"
        )
