"""``manage.py backfill``: a simulated fleet's readings for a window of the past."""

from __future__ import annotations

import time
from argparse import BooleanOptionalAction
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from readings.frame import format_instant, parse_instant
from readings.ingest.backfill import backfill
from readings.ingest.deployment_fleet import deployment_fleet
from readings.repositories import (
    ReadingsRefusedError,
    RepositoryUnavailableError,
    repository,
)
from readings.simulation.fleet import Fleet


class Command(BaseCommand):
    """Writes what a fleet would have sent; may be cut off and run again."""

    help = (
        "Write a simulated fleet's readings for a window of the past. What is kept already is left as "
        "it is: a run that was cut off goes on when it is run again. The fleet is the deployment's, "
        "but for the options given. Example: "
        "python manage.py backfill --start 2023-02-01 --end '2023-02-28 23:55'"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The window, and the fleet's parameters by the names of the reference's generator."""
        fleet = deployment_fleet()
        parser.add_argument("--start", required=True, help="first time, such as '2023-02-27 16:00'")
        parser.add_argument("--end", help="last time, inclusive (default: now)")
        options: list[tuple[str, type, object, str]] = [
            ("--interval", int, fleet.interval_minutes, "minutes between readings; divides a day"),
            ("--devices", int, fleet.devices, "meters"),
            ("--devices-per-batch", int, fleet.devices_per_batch, "meters computed at once"),
            ("--voltage", float, fleet.voltage, "V"),
            ("--minimum-load", float, fleet.minimum_load, "least contracted load, kW"),
            ("--maximum-load", float, fleet.maximum_load, "greatest contracted load, kW"),
            ("--late-percent", float, fleet.late_percent, "meters that send an interval late"),
            ("--late-minutes", int, fleet.late_minutes, "how late"),
            ("--seed", int, fleet.seed, "another seed, other readings"),
        ]
        for name, kind, default, meaning in options:
            parser.add_argument(name, type=kind, default=default, help=f"{meaning} ({default})")
        parser.add_argument(
            "--late-arrivals",
            action=BooleanOptionalAction,
            default=fleet.late_arrivals,
            help=f"whether some meters send late ({'on' if fleet.late_arrivals else 'off'})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write, with a bar on a terminal."""
        fleet = _fleet(options)
        now = timezone.now()
        start, end = _instant("--start", options["start"]), now
        if options["end"]:
            end = _instant("--end", options["end"])
        if end < start:
            raise CommandError(f"--end {options['end'] or 'now'} is before --start.")
        if end > now:
            self.stderr.write("What lies in the future has not arrived and is left out.")
        total = sum(1 for _ in fleet.intervals(start, min(end, now)))
        began, readings, new = time.monotonic(), 0, 0
        try:
            with _progress() as progress:
                bar = progress.add_task("backfill", total=total, rate="")
                for stretch in backfill(fleet, repository(), start, min(end, now), now):
                    readings, new = readings + stretch.readings, new + stretch.new
                    rate = readings / (time.monotonic() - began)
                    progress.update(bar, advance=stretch.intervals, rate=f"{rate:,.0f} readings/s")
        except (RepositoryUnavailableError, ReadingsRefusedError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stderr.write(f"\nCut off with {new:,} readings written; run it again to go on.")
            raise SystemExit(130) from None
        seconds = time.monotonic() - began
        self.stdout.write(
            f"{format_instant(start)} to {format_instant(min(end, now))}: {total:,} intervals, "
            f"{new:,} readings new, {readings - new:,} there already, "
            f"{seconds:.1f} s, {readings / max(seconds, 1e-9):,.0f} readings/s"
        )


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("intervals, {task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _fleet(options: dict[str, Any]) -> Fleet:
    try:
        return Fleet(
            interval_minutes=options["interval"],
            devices=options["devices"],
            devices_per_batch=options["devices_per_batch"],
            voltage=options["voltage"],
            minimum_load=options["minimum_load"],
            maximum_load=options["maximum_load"],
            late_arrivals=options["late_arrivals"],
            late_percent=options["late_percent"],
            late_minutes=options["late_minutes"],
            seed=options["seed"],
        )
    except ValueError as error:
        raise CommandError(str(error)) from None


def _instant(option: str, text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}.") from None
