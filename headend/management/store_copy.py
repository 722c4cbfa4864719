"""The steps of ``manage.py store copy``: checks, the copy with a progress bar, and a summary."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from headend.config.program import PROGRAM
from readings.cancellation import raise_if_cancelled
from readings.copying.copy_days import CopiedDay, Day, DayCopier
from readings.copying.progress_record import CopyRunningError, copy_key, progress_record
from readings.engines import engine_of
from readings.ingest.stop_request import exit_code, stop_when_asked
from readings.management.progress_bar import progress_bar
from readings.repositories import Store, open_repository, open_store
from readings.repositories.contents import contents_of
from readings.repository_errors import RepositoryUnavailableError
from readings.totals import update_totals_after_write
from readings.window import Window


@dataclass(frozen=True)
class StoreCopy:
    """A copy of the readings of a window from one store to another. Each store has a URL and a :class:`Store`."""

    source_url: str
    target_url: str
    source: Store
    target: Store
    window: Window

    def run(self, stdout: OutputWrapper, stderr: OutputWrapper) -> None:
        """Copy and compare each day, and print a summary.

        Raises ``CommandError`` with one sentence if the copy is not possible, or if days differ at the end. Ctrl-C ends
        the process with one line and exit code 130.
        """
        self._refuse_wrong_stores()
        copied: list[CopiedDay] = []
        try:
            with stop_when_asked():
                self._copy_days(copied, stdout)
        except CopyRunningError as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt as stop:
            stderr.write(
                f"\nInterrupted after {_days(len(copied))}. Run the command again to continue."
            )
            raise SystemExit(exit_code(stop)) from None
        _report_differences(copied, stderr)

    def _refuse_wrong_stores(self) -> None:
        if self.source.is_same_place(self.target):
            raise CommandError("FROM and TO are the same store.")
        for argument, store in (("FROM", self.source), ("TO", self.target)):
            try:
                exists = store.exists()
            except RepositoryUnavailableError as error:
                raise CommandError(f"{argument}: {error}") from error
            if not exists:
                raise CommandError(
                    f"{argument}: {store.name} does not exist. `{PROGRAM} store create URL` creates a store."
                )

    def _copy_days(self, copied: list[CopiedDay], stdout: OutputWrapper) -> None:
        """Copy the days, and add the result of each to ``copied``."""
        contents = contents_of(open_repository(self.source_url).snapshot(), self.window)
        if contents.first is None or contents.last is None:
            stdout.write("FROM has no readings in this window. Nothing was copied.")
            return
        refusal = self.target.refusal(contents.first, contents.last)
        if refusal is not None:
            raise CommandError(f"TO: {refusal}")
        began = time.monotonic()
        source_keeps, target_keeps = (
            engine_of(url).capabilities.keeps_replaced_versions
            for url in (self.source_url, self.target_url)
        )
        source, target = open_repository(self.source_url), open_repository(self.target_url)
        key = copy_key(source.table_id(), target.table_id())
        with progress_record(settings.HEADEND_HOME, key) as record:
            copier = DayCopier(
                source,
                target,
                record,
                key=key,
                waits=not engine_of(self.target_url).capabilities.shows_writes_at_once,
                versions=source_keeps and target_keeps,
            )
            days, verified_before = copier.days(self.window)
            if source_keeps and not target_keeps and any(day.revision for day in days):
                stdout.write(
                    "FROM has corrected readings. TO keeps only the newest version of a reading, so the others are not copied."
                )
            _copy_with_progress_bar(copier, days, copied)
        if copied and self.target.identity == open_store(settings.READINGS_URL).identity:
            repository = open_repository(settings.READINGS_URL)
            update_totals_after_write(repository, contents.first, contents.last)
            raise_if_cancelled()
        stdout.write(_summary(copied, verified_before, time.monotonic() - began))


def _copy_with_progress_bar(copier: DayCopier, days: list[Day], copied: list[CopiedDay]) -> None:
    """Copy the days, and add the result of each to ``copied``."""
    with progress_bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[days]}"),
        TimeRemainingColumn(),
    ) as progress:
        # Each reading is read from the source, and then from the target.
        bar = progress.add_task("copy", total=2 * sum(day.readings for day in days), days="")
        for day in days:
            raise_if_cancelled()
            place = f"day {len(copied) + 1:,} of {len(days):,}"
            progress.update(bar, description=day.day.isoformat(), days=place)
            copied.append(copier.copy(day, _advance(progress, bar)))


def _advance(progress: Progress, bar: TaskID) -> Callable[[int], None]:
    return lambda readings: progress.update(bar, advance=readings)


def _summary(copied: list[CopiedDay], verified_before: int, seconds: float) -> str:
    readings, new = sum(day.readings for day in copied), sum(day.new for day in copied)
    return (
        f"{_days(len(copied))} copied and compared: {readings:,} readings, {new:,} new, "
        f"{readings - new:,} already stored, {seconds:.1f} s, {readings / max(seconds, 1e-9):,.0f} readings/s; "
        f"{_days(verified_before)} verified by an earlier run"
    )


def _report_differences(copied: list[CopiedDay], stderr: OutputWrapper) -> None:
    """Print each day whose readings are not the same in both stores. Raises ``CommandError`` if there is one."""
    different = [day for day in copied if day.difference is not None]
    for day in different:
        stderr.write(f"{day.day}: {day.difference}")
    if different:
        raise CommandError(
            f"{len(different):,} of {_days(len(copied))} differ in TO. Readings that TO had before the copy stay "
            "stored. Run the command again to compare these days again."
        )


def _days(count: int) -> str:
    return f"{count:,} day{'' if count == 1 else 's'}"
