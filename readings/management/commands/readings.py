"""``manage.py readings``: show what the repository contains, day by day."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from headend.config.program import PROGRAM
from readings.cancellation import raise_if_cancelled
from readings.ingest.stop_request import stop_when_asked
from readings.instants import format_instant
from readings.management.help_formatter import CommandWithExamples
from readings.repositories import repository
from readings.repository_errors import RepositoryUnavailableError

_WIDTH_WITHOUT_TERMINAL = 120


class Command(CommandWithExamples):
    """Shows a table of the stored readings. It includes the numbers of the guide's verification query."""

    help = (
        "Show which readings are stored: for each day (UTC) and in total the earliest and the latest "
        "time, and the numbers of readings, meters and intervals.\n"
        "Example, the newest day as JSON:\n"
        f"  {PROGRAM} readings --json | jq '.days[-1]'"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--json``."""
        parser.add_argument(
            "--json",
            action="store_true",
            help='print one JSON object {"total": ..., "days": [...]} instead of a table',
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the table or the JSON object."""
        try:
            with stop_when_asked():
                snapshot = repository().snapshot()
                days = [_row(day) for day in snapshot.day_summaries().iter_rows(named=True)]
                raise_if_cancelled()
                total = _total(days, snapshot.meter_count())
                raise_if_cancelled()
        except RepositoryUnavailableError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"total": total, "days": days}))
        elif not days:
            self.stdout.write(
                f"No readings yet. `{PROGRAM} backfill --start …` writes simulated ones, "
                f"`{PROGRAM} load FILE` imports a file."
            )
        else:
            console = Console(width=None if self.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)
            with console.capture() as table:
                console.print(_table([*days, total]))
            self.stdout.write(table.get())


def _row(day: dict[str, Any]) -> dict[str, Any]:
    return {
        "day": day["day"].isoformat(),
        "earliest": format_instant(day["earliest"]),
        "latest": format_instant(day["latest"]),
        **{name: day[name] for name in ("readings", "meters", "intervals")},
    }


def _total(days: list[dict[str, Any]], meters: int) -> dict[str, Any]:
    """Return the row of all days. ``meters`` is counted apart, because a meter has readings on many days."""
    return {
        "day": "total",
        "earliest": days[0]["earliest"] if days else None,
        "latest": days[-1]["latest"] if days else None,
        "readings": sum(day["readings"] for day in days),
        "meters": meters,
        "intervals": sum(day["intervals"] for day in days),
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    """Return the rows as a table. The last row, the total, is separated by a line."""
    table = Table()
    for name in rows[0]:
        is_number = isinstance(rows[0][name], int)
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        if row is rows[-1]:
            table.add_section()
        table.add_row(
            *(f"{value:,}" if isinstance(value, int) else value for value in row.values())
        )
    return table
