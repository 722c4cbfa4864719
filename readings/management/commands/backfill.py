"""``manage.py backfill``: write the readings of a simulated fleet for a window of the past."""

from __future__ import annotations

import time
from argparse import BooleanOptionalAction
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from headend.config.program import PROGRAM
from readings.cancellation import raise_if_cancelled
from readings.described_table import prepare_to_write
from readings.ingest.backfill import backfill, write_late_arrivals
from readings.ingest.deployment_fleet import deployment_fleet
from readings.ingest.fleet_profile import deployment_profile
from readings.ingest.live import record_awaited_intervals
from readings.ingest.stop_request import exit_code, stop_when_asked
from readings.instants import format_instant, parse_bounded_instant
from readings.management.help_formatter import CommandWithExamples
from readings.management.progress_bar import progress_bar
from readings.repositories import repository
from readings.repository_errors import ReadingsRefusedError, RepositoryUnavailableError
from readings.simulation.fleet import Fleet
from readings.simulation.town import PROFILES, Town, parse_delivery
from readings.totals import update_totals_after_write


class Command(CommandWithExamples):
    """Writes simulated readings of the past. An interrupted run continues when it is started again."""

    help = (
        "Write the readings of a simulated fleet for a window of the past. Times are UTC.\n"
        "Readings that are stored already do not change, so an interrupted run can be started again.\n"
        "The fleet is the one of the SIMULATION_... settings; each option changes one of its parameters.\n"
        "Example, all readings of February 2023:\n"
        f"  {PROGRAM} backfill --start 2023-02-01 --end '2023-02-28 23:55'"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the window, and the fleet's parameters under the names that the reference's generator uses."""
        # The profile has no default here: `--help` must not need the database.
        fleet = deployment_fleet(PROFILES[0])
        parser.add_argument(
            "--start", required=True, help="time of the first readings, such as '2023-02-27 16:00'"
        )
        parser.add_argument("--end", help="time of the last readings, inclusive (default: now)")
        options: list[tuple[str, type, object, str]] = [
            (
                "--interval",
                int,
                fleet.interval_minutes,
                "minutes between two readings of a meter; a divisor of 1440",
            ),
            ("--devices", int, fleet.devices, "number of meters"),
            (
                "--devices-per-batch",
                int,
                fleet.devices_per_batch,
                "meters that are calculated at once; it changes memory and speed, not the readings",
            ),
            ("--voltage", float, fleet.voltage, "nominal voltage, V"),
            ("--minimum-load", float, fleet.minimum_load, "smallest contracted load, kW"),
            ("--maximum-load", float, fleet.maximum_load, "largest contracted load, kW"),
            (
                "--late-percent",
                float,
                fleet.late_percent,
                "percentage of the meters whose reading of an interval is late",
            ),
            ("--late-minutes", int, fleet.late_minutes, "minutes by which late readings are late"),
            ("--seed", int, fleet.seed, "random seed; another seed gives other readings"),
            ("--shares", str, fleet.town.shares, "mixed: percentages of the customer classes"),
            ("--timezone", str, fleet.town.timezone, "mixed: time zone of the local calendar"),
            ("--latitude", float, fleet.town.latitude, "mixed: latitude of the solar plants"),
            (
                "--delivery",
                str,
                settings.SIMULATION_DELIVERY,
                "off, on, or four percentages: how much of an interval arrives after 5 minutes, an hour, by 05:00 and "
                "after three days; off with --late-arrivals",
            ),
        ]
        for name, kind, default, meaning in options:
            parser.add_argument(
                name, type=kind, default=default, help=f"{meaning} (default: {default})"
            )
        parser.add_argument(
            "--profile",
            help=f"{' or '.join(PROFILES)}: how values are drawn (default: that of the deployment)",
        )
        parser.add_argument(
            "--late-arrivals",
            action=BooleanOptionalAction,
            default=fleet.late_arrivals,
            help=f"whether some readings are late (default: {'yes' if fleet.late_arrivals else 'no'})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the readings. Show a progress bar on a terminal, and a summary at the end."""
        fleet = _fleet(options)
        now = timezone.now()
        start, end = _window(options, now)
        if end > now:
            self.stderr.write("--end is in the future. Only readings up to now are written.")
            end = now
        intervals = sum(1 for _ in fleet.intervals(start, end))
        began, readings, new = time.monotonic(), 0, 0
        try:
            with (
                stop_when_asked(),
                progress_bar(
                    TextColumn("{task.description}"),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TextColumn("intervals, {task.fields[rate]}"),
                    TimeRemainingColumn(),
                ) as progress,
            ):
                prepare_to_write(repository())
                bar = progress.add_task("backfill", total=intervals, rate="")
                for write in backfill(fleet, repository(), start, end, now):
                    readings, new = readings + write.readings, new + write.new
                    record_awaited_intervals(write.awaited)
                    rate = readings / (time.monotonic() - began)
                    progress.update(bar, advance=write.intervals, rate=f"{rate:,.0f} readings/s")
                late = write_late_arrivals(fleet, repository(), (start, end), now, timezone.now())
                readings, new = readings + late, new + late
                seconds = time.monotonic() - began
                update_totals_after_write(repository(), start, end)
                raise_if_cancelled()
        except (RepositoryUnavailableError, ReadingsRefusedError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt as stop:
            self.stderr.write(
                f"\nInterrupted after {_counted(new, 'new reading')}. Run the command again to continue."
            )
            raise SystemExit(exit_code(stop)) from None
        self.stdout.write(
            f"{format_instant(start)} to {format_instant(end)}: {_counted(intervals, 'interval')}, "
            f"{_counted(new, 'new reading')}, {readings - new:,} already stored, "
            f"{seconds:.1f} s, {readings / max(seconds, 1e-9):,.0f} readings/s"
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


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
            profile=options["profile"] or deployment_profile(),
            town=Town(options["shares"], options["timezone"], options["latitude"]),
            delivery=None if options["late_arrivals"] else parse_delivery(options["delivery"]),
        )
    except ValueError as error:
        # The message begins with the name of the option.
        raise CommandError(f"--{error}") from None


def _window(options: dict[str, Any], now: datetime) -> tuple[datetime, datetime]:
    start = _instant("--start", options["start"])
    end = _instant("--end", options["end"]) if options["end"] else now
    if start > now:
        raise CommandError("--start is in the future.")
    if end < start:
        raise CommandError(f"--end {options['end']} is before --start.")
    return start, end


def _instant(option: str, text: str) -> datetime:
    try:
        return parse_bounded_instant(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}.") from None
