"""``manage.py copyfiles``: copy the export files into another folder or bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn

from exports.pipeline.file_copy import CopiedFile, copy_files, size_of_files
from exports.stores import ExportStore, export_store_of
from exports.stores.bucket_problem import bucket_problem
from exports.templatetags.file_size import file_size
from headend.config.program import PROGRAM
from headend.config.service_urls import exports_storage
from readings.management.help_formatter import CommandWithExamples
from readings.management.progress_bar import progress_bar


class Command(CommandWithExamples):
    """Copies every file that suppliers can download, and compares its checksum."""

    help = (
        "Copy the export files from one export store into another: from a folder to a bucket, or back. Each file is compared "
        "with the checksum of its request. Stop the workers and the SFTP servers first. Files that TO has already are not copied "
        "again, so the command can be repeated. FROM is not changed. Then set EXPORTS_URL to TO. Parts of running requests are not "
        "copied. The exit code is 1 if a file could not be copied.\n"
        "Example:\n"
        f"  {PROGRAM} copyfiles file:///srv/headend/exports 's3://our-bucket/data/sftp?region=eu-west-1'"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the two URLs."""
        parser.add_argument("source", metavar="FROM", help="the EXPORTS_URL to read from")
        parser.add_argument("target", metavar="TO", help="the EXPORTS_URL to write to")

    def handle(self, *args: Any, **options: Any) -> None:
        """Copy the files, and print a summary. Raises ``CommandError`` with one sentence if that is not possible."""
        if options["source"].rstrip("/") == options["target"].rstrip("/"):
            raise CommandError("FROM and TO are the same.")
        source, target = _store("FROM", options["source"]), _store("TO", options["target"])
        try:
            done = self._copy(source, target)
        except OSError as error:
            raise CommandError(f"{error}. Run the command again to continue.") from error
        except (BotoCoreError, ClientError) as error:
            raise CommandError(
                f"{bucket_problem(error)}. Run the command again to continue."
            ) from error
        new = [file for file in done if file.is_new]
        failed = sum(bool(file.problem) for file in done)
        self.stdout.write(
            f"files copied: {len(new):,} ({file_size(sum(file.size for file in new))}), "
            f"already there: {len(done) - len(new) - failed:,}, not copied: {failed:,}"
        )
        if failed:
            raise CommandError(f"{failed:,} of {len(done):,} files were not copied.")

    def _copy(self, source: ExportStore, target: ExportStore) -> list[CopiedFile]:
        done = []
        with progress_bar(BarColumn(), DownloadColumn(), TimeRemainingColumn()) as progress:
            bar = progress.add_task("copy", total=size_of_files())
            for file in copy_files(source, target):
                done.append(file)
                progress.update(bar, advance=file.size)
                if file.problem:
                    self.stderr.write(f"{file.location} {file.problem}")
        return done


def _store(argument: str, url: str) -> ExportStore:
    """Return the export store at ``url``. Raises ``CommandError`` if it cannot be used."""
    if urlsplit(url).scheme not in {"file", "s3"}:
        raise CommandError(f"{argument} is {url!r}; it must begin with file:// or s3://.")
    try:
        storage = exports_storage(url, name=argument)
        folder = storage["OPTIONS"]["location"]
        # Writing would create it, perhaps in the place of a disk that is not mounted.
        if urlsplit(url).scheme == "file" and not Path(folder).is_dir():
            raise CommandError(
                f"{argument}: the folder {folder} does not exist. Create it, or mount its disk."
            )
        store = export_store_of(storage)
        problem = store.problem()
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{argument}: {error}.") from None
    if problem:
        raise CommandError(f"{argument}: {problem}.")
    return store
