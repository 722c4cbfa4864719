"""``manage.py load``: real readings from CSV, gzip CSV or Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from readings.frame import COLUMNS
from readings.incoming import BadFileError
from readings.loading import load
from readings.repositories import RepositoryUnavailableError, repository


class Command(BaseCommand):
    """Checks each file whole, then keeps its readings."""

    help = (
        f"Load real readings from CSV, gzip CSV or Parquet files with the columns {', '.join(COLUMNS)} "
        "(arrival_time and measure_name may be missing). Times are UTC, current in A, powers in kW and "
        "kVA, voltage in kV. A file with a bad row is not loaded at all; readings that are kept already "
        "are left as they are. Example: python manage.py load may.csv.gz june.parquet --column kwh_col=kw"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The files, and other names for their columns."""
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument(
            "--column",
            action="append",
            default=[],
            metavar="THEIRS=OURS",
            help="the file's column THEIRS holds our OURS; may be given several times",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Load one file after the other; the first that is bad ends it."""
        names = dict(_renaming(text) for text in options["column"])
        for file in options["files"]:
            try:
                with _progress() as progress:
                    bar = progress.add_task(str(file.name), total=None, doing="", rows=0)

                    def tell(doing: str, rows: int, total: int | None, bar: Any = bar) -> None:
                        progress.update(bar, doing=doing, rows=rows, completed=rows, total=total)

                    loaded = load(file, names, repository(), settings.HEADEND_HOME, tell)
            except BadFileError as error:
                raise CommandError(f"{file}: {error}") from None
            except RepositoryUnavailableError as error:
                raise CommandError(str(error)) from error
            self.stdout.write(
                f"{file}: {loaded.new:,} readings new, {loaded.readings - loaded.new:,} there already"
            )


def _renaming(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours in COLUMNS):
        raise CommandError(f"--column {text}: write THEIRS=OURS, OURS one of {', '.join(COLUMNS)}.")
    return theirs, ours


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}: {task.fields[doing]} {task.fields[rows]:,} rows"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
