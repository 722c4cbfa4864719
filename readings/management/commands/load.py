"""``manage.py load``: import readings from CSV, compressed CSV or Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from headend.config.program import PROGRAM
from readings.cancellation import raise_if_cancelled
from readings.described_table import prepare_to_write
from readings.frame import FULL_COLUMNS, MEASURES, QUALITIES
from readings.ingest.columns import ColumnOptions
from readings.ingest.file_import import ImportedFile, import_file
from readings.ingest.local_time import is_known_zone
from readings.ingest.row_validation import BadFileError
from readings.ingest.scratch import ScratchError
from readings.ingest.stop_request import exit_code, stop_when_asked
from readings.management.help_formatter import CommandWithExamples
from readings.management.progress_bar import progress_bar
from readings.repositories import repository
from readings.repository_errors import ReadingsRefusedError, RepositoryUnavailableError
from readings.totals import update_totals_after_write


class Command(CommandWithExamples):
    """Imports files, one after the other. It stops at the first file that has a bad row."""

    help = (
        "Import readings from CSV or Parquet files. CSV may be compressed with gzip, zstd or zlib. "
        "A file needs the columns time and device_id, and a measure: "
        f"{', '.join(MEASURES)}. It may also have quality ({', '.join(QUALITIES)}), arrival_time and measure_name. "
        "A value may be empty; a row without any measure needs the quality missing.\n"
        "Units: load and kw in kW, crrnt in A, kva in kVA, vltg in kV, kwh, import_kwh and export_kwh in kWh.\n"
        "Times without a UTC offset are UTC, or local times of --timezone. "
        "Without arrival_time, readings arrive at the time of the import, or with --arrival time at their own time.\n"
        "If a row of a file is bad, nothing of this file and of the files after it is imported.\n"
        "A row with other values than the stored reading of its meter and time is a correction if it arrives later: "
        "its values become valid, and the old version stays in the history. Columns that the file does not have keep "
        "the values of the old version. A row that is stored already changes nothing, so a file can be imported again. "
        "--dry-run lists the corrections.\n"
        "Example, two files in which the column kw has another name:\n"
        f"  {PROGRAM} load may.csv.gz june.parquet --column active_power=kw"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the files, and other names of their columns."""
        parser.add_argument(
            "files",
            nargs="+",
            type=Path,
            metavar="FILE",
            help="files to import; - is standard input",
        )
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="THEIRS=OURS",
            help=(
                "the column THEIRS of the files is our column OURS, such as active_power=kw; "
                "repeat the option for more columns"
            ),
        )
        parser.add_argument(
            "--ignore",
            action="append",
            default=[],
            metavar="COLUMN",
            help="leave out a column of the files; repeat the option for more columns",
        )
        parser.add_argument(
            "--separator",
            default=",",
            metavar="CHARACTER",
            help="the character between the values of a CSV file, such as ';' or a tab (default: ',')",
        )
        parser.add_argument(
            "--decimal-comma",
            action="store_true",
            help="numbers have a comma in place of the point, such as 17,674",
        )
        parser.add_argument(
            "--timezone",
            metavar="ZONE",
            help=(
                "times without a UTC offset are local times of this zone, such as Europe/Berlin; when clocks go back "
                "and an hour is repeated, the order of a meter's rows tells its two passes apart"
            ),
        )
        parser.add_argument(
            "--missing",
            action="append",
            default=[],
            type=float,
            metavar="NUMBER",
            help="this number, such as -999, stands for no value and is read as empty",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="check everything, and list the corrections, but write nothing",
        )
        parser.add_argument(
            "--arrival",
            choices=["load", "time"],
            default="load",
            help=(
                "when readings of a file without the column arrival_time arrive: at the time of the import "
                "(the default), so that suppliers' pulls by arrived_after get them, or at their own time"
            ),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Import the files in the given order. A file that fails ends the command."""
        columns = _column_options(options)
        try:
            prepare_to_write(repository())
        except RepositoryUnavailableError as error:
            raise CommandError(str(error)) from error
        with stop_when_asked():
            for number, file in enumerate(options["files"]):
                others = _other_files(number, len(options["files"]), dry_run=options["dry_run"])
                try:
                    imported = _import_and_update_totals(file, columns, options)
                except (BadFileError, ScratchError) as error:
                    raise CommandError(f"{file}: {error}{others}") from None
                except (RepositoryUnavailableError, ReadingsRefusedError) as error:
                    raise CommandError(f"{file}: {error}{others}") from error
                except KeyboardInterrupt as stop:
                    self.stderr.write(
                        f"\nInterrupted while importing {file}. Import it again to complete it.{others}"
                    )
                    raise SystemExit(exit_code(stop)) from None
                self._print_summary(file, imported, dry_run=options["dry_run"])

    def _print_summary(self, file: Path, imported: ImportedFile, *, dry_run: bool) -> None:
        self.stdout.write(
            f"{'not written (dry run): ' if dry_run else ''}{file}: "
            f"{imported.new:,} {_plural(imported.new, 'new reading')}, "
            f"{imported.already_stored:,} already stored{_differing_rows(imported)}"
            f"{_rounded(imported.rounded)}"
        )
        for correction in imported.corrections:
            self.stdout.write(f"  correction: {correction}")
        for conflict in imported.conflicts:
            self.stdout.write(f"  not imported: {conflict}")
        for warning in imported.implausible:
            self.stdout.write(f"  implausible: {warning}")


def _import_and_update_totals(
    file: Path, columns: ColumnOptions, options: dict[str, Any]
) -> ImportedFile:
    imported = _import_with_progress_bar(
        file,
        columns,
        arrives_at_time=options["arrival"] == "time",
        dry_run=options["dry_run"],
    )
    if not options["dry_run"]:
        update_totals_after_write(repository(), imported.start, imported.end)
    raise_if_cancelled()
    return imported


def _import_with_progress_bar(
    file: Path, columns: ColumnOptions, *, arrives_at_time: bool, dry_run: bool
) -> ImportedFile:
    with progress_bar(
        TextColumn("{task.description}: {task.fields[activity]} {task.fields[rows]:,} rows"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    ) as progress:
        bar = progress.add_task(file.name, total=None, activity="", rows=0)

        def report_progress(activity: str, rows: int, total: int | None) -> None:
            progress.update(bar, activity=activity, rows=rows, completed=rows, total=total)

        return import_file(
            file,
            columns,
            repository(),
            settings.HEADEND_HOME,
            report_progress,
            arrives_at_time=arrives_at_time,
            dry_run=dry_run,
        )


def _column_options(options: dict[str, Any]) -> ColumnOptions:
    """Return the options that concern the columns. Raises ``CommandError`` if one is wrong."""
    separator = {r"\t": "\t"}.get(options["separator"], options["separator"])
    if len(separator) != 1 or not separator.isascii():
        raise CommandError(f"--separator {separator!r}: write one ASCII character, such as ';'.")
    names = dict(_column_name(text) for text in options["column"])
    zone = options["timezone"]
    if zone is not None and not is_known_zone(zone):
        raise CommandError(f"--timezone {zone!r}: write a time zone, such as Europe/Berlin.")
    return ColumnOptions(
        names, options["ignore"], separator, options["decimal_comma"], options["missing"], zone
    )


def _differing_rows(imported: ImportedFile) -> str:
    """Return the part of the summary about rows that differ from the stored readings."""
    counts = {
        "corrected": imported.corrected,
        _plural(imported.older, "older version"): imported.older,
        "conflicting": imported.conflicting,
    }
    return "".join(f", {count:,} {what}" for what, count in counts.items() if count)


def _rounded(count: int) -> str:
    """Return the part of the summary that says how many values have lost decimals."""
    if not count:
        return ""
    return f", {count:,} {_plural(count, 'value')} rounded to 3 decimals"


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _other_files(before: int, files: int, *, dry_run: bool) -> str:
    """Return lines that say what was done with the files before and after the failed one, if there are any."""
    done = "checked" if dry_run else "imported"
    lines = ""
    for count, where, what in (
        (before, "before", done),
        (files - before - 1, "after", f"not {done}"),
    ):
        if count == 1:
            lines += f"\nThe file {where} it was {what}."
        elif count:
            lines += f"\nThe {count} files {where} it were {what}."
    return lines


def _column_name(text: str) -> tuple[str, str]:
    """Return both sides of ``THEIRS=OURS``."""
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours in FULL_COLUMNS):
        raise CommandError(
            f"--column {text}: write THEIRS=OURS, where OURS is one of {', '.join(FULL_COLUMNS)}."
        )
    return theirs, ours
