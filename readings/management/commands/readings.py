"""``manage.py readings``: what is kept, day by day; the guide's verification query and more."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from readings.frame import format_instant
from readings.repositories import RepositoryUnavailableError, repository


class Command(BaseCommand):
    """Tells what the repository holds."""

    help = (
        "Show what is kept: earliest and latest time, number of readings, meters and intervals, per day "
        "and in all. Example: python manage.py readings --json | jq '.days[-1]'"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """One option."""
        parser.add_argument("--json", action="store_true", help="one JSON object, for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the table."""
        try:
            snapshot = repository().snapshot()
            days = [_row(day) for day in snapshot.day_summaries().iter_rows(named=True)]
            total = _total(days, snapshot.meter_count())
        except RepositoryUnavailableError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"total": total, "days": days}))
        elif not days:
            self.stdout.write(
                "No readings are kept yet. `python manage.py backfill --start …` simulates some, "
                "`python manage.py load FILE` brings real ones in."
            )
        else:
            width = None if self.stdout.isatty() else 120
            console = Console(width=width)
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
    return {
        "day": "in all",
        "earliest": days[0]["earliest"] if days else None,
        "latest": days[-1]["latest"] if days else None,
        "readings": sum(day["readings"] for day in days),
        "meters": meters,
        "intervals": sum(day["intervals"] for day in days),
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table()
    for name in rows[0]:
        number = isinstance(rows[0][name], int)
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        if row is rows[-1]:
            table.add_section()
        table.add_row(
            *(f"{value:,}" if isinstance(value, int) else value for value in row.values())
        )
    return table
