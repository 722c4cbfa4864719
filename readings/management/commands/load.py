"""``manage.py load``: real readings from CSV, gzip CSV or Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from readings.frame import COLUMNS
from readings.ingest.file_import import Loaded, load
from readings.ingest.row_validation import BadFileError
from readings.repositories import (
    ReadingsRefusedError,
    RepositoryUnavailableError,
    repository,
)


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
        files: list[Path] = options["files"]
        for number, file in enumerate(files):
            try:
                loaded = _load(file, names)
            except BadFileError as error:
                raise CommandError(f"{file}: {error}{_kept(number)}") from None
            except (RepositoryUnavailableError, ReadingsRefusedError) as error:
                raise CommandError(f"{file}: {error}{_kept(number)}") from error
            except KeyboardInterrupt:
                self.stderr.write(f"\nCut off in {file}; load it again to go on.{_kept(number)}")
                raise SystemExit(130) from None
            self.stdout.write(
                f"{file}: {loaded.new:,} readings new, {loaded.readings - loaded.new:,} there already"
            )


def _load(file: Path, names: dict[str, str]) -> Loaded:
    """Load one file, with a bar on a terminal."""
    with _progress() as progress:
        bar = progress.add_task(file.name, total=None, doing="", rows=0)

        def tell(doing: str, rows: int, total: int | None) -> None:
            progress.update(bar, doing=doing, rows=rows, completed=rows, total=total)

        return load(file, names, repository(), settings.HEADEND_HOME, tell)


def _kept(files: int) -> str:
    if not files:
        return ""
    return (
        "\nThe file before it stays loaded."
        if files == 1
        else f"\nThe {files} files before it stay loaded."
    )


def _renaming(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours in COLUMNS):
        raise CommandError(f"--column {text}: write THEIRS=OURS, OURS one of {', '.join(COLUMNS)}.")
    return theirs, ours


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}: {task.fields[doing]} {task.fields[rows]:,} rows"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
