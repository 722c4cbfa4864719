"""Copy readings from one repository into another, day by day."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from readings import frame
from readings.cancellation import raise_if_cancelled
from readings.computed_ahead import computed_ahead
from readings.copying.checksum import Checksum
from readings.copying.progress_record import ProgressRecord, VerifiedDay
from readings.ingest import READINGS_PER_WRITE
from readings.instants import format_instant
from readings.repositories import ReadingsRepository
from readings.window import Window, window_of_day

_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""How long to wait, in seconds, before the target is read again because it does not show all readings yet."""

Report = Callable[[int], None]
"""Called after each read from the source or the target, with the number of readings."""


@dataclass(frozen=True)
class Day:
    """One UTC day of a copy: the part of it inside the window, and how many readings the source has in it.

    ``revision`` is the sum of the revisions of its minutes, see :meth:`Snapshot.minute_revisions`. ``is_new`` says
    whether the target has no readings of the day.
    """

    day: date
    window: Window
    readings: int
    revision: int
    is_new: bool


@dataclass(frozen=True)
class CopiedDay:
    """The result for a day: how many of its readings were new in the target, and the difference that remains.

    If all versions are copied, they are counted, not the readings.
    """

    day: date
    readings: int
    new: int
    difference: str | None


class DayCopier:
    """Copies the days of one window from ``source`` to ``target``.

    Readings are read and written in frames, so memory does not grow with the day. All methods raise
    :class:`RepositoryUnavailableError` and, if the target refuses readings, :class:`ReadingsRefusedError`. Each can be
    repeated after any interruption.

    ``key`` names the extracts of both. ``waits`` says whether the target shows new readings with a delay. ``versions``
    says whether all versions of a reading are copied and compared, or only the valid one.
    """

    def __init__(
        self,
        source: ReadingsRepository,
        target: ReadingsRepository,
        record: ProgressRecord,
        *,
        key: str,
        waits: bool,
        versions: bool,
    ) -> None:
        self._source = source
        self._target = target
        self._record = record
        self._key = key
        self._pauses = _PAUSES if waits else ()
        self._versions = versions

    def days(self, window: Window) -> tuple[list[Day], int]:
        """Return the days that must be copied, ascending, and how many others are copied and verified already.

        A recorded day is copied again if the source or the target has other readings or corrections now.
        """
        in_source, in_target = (_states(each, window) for each in (self._source, self._target))
        days = [
            Day(day, _part_of_day(window, day), *state, is_new=day not in in_target)
            for day, state in in_source.items()
        ]
        remaining = [
            day for day in days if not self._is_verified(day, in_target.get(day.day, (0, 0)))
        ]
        return remaining, len(days) - len(remaining)

    def copy(self, day: Day, report: Report) -> CopiedDay:
        """Copy a day and compare it. If source and target are the same, the day is recorded as verified."""
        expected, new = Checksum(), 0
        # Writing corrections takes longer.
        corrections = bool(day.revision) or not day.is_new
        with self._frames(self._source, day.window, corrected=bool(day.revision)) as frames:
            for readings in computed_ahead(_batches(frames, expected)):
                raise_if_cancelled()
                new += self._target.write(readings, corrections=corrections)
                report(len(readings))
        found = self._read_back(day.window, expected.readings, report)
        difference = _difference(expected, found)
        if difference is None:
            _, revision = _states(self._target, day.window).get(day.day, (0, 0))
            self._record.add(
                VerifiedDay(
                    *_bounds(day.window),
                    day.readings,
                    expected.hexdigest(),
                    source_revision=day.revision,
                    target_revision=revision,
                )
            )
        return CopiedDay(day.day, expected.readings, new, difference)

    def _is_verified(self, day: Day, in_target: tuple[int, int]) -> bool:
        recorded = self._record.find(*_bounds(day.window))
        if recorded is None:
            return False
        return (day.readings, day.revision) == (recorded.readings, recorded.source_revision) and (
            in_target == (recorded.readings, recorded.target_revision)
        )

    @contextmanager
    def _frames(
        self, repository: ReadingsRepository, window: Window, *, corrected: bool
    ) -> Iterator[Iterator[pl.DataFrame]]:
        """Yield the readings of a repository. They are those of an extract, which is deleted afterwards.

        Extracts that a killed run has left are deleted first.
        """
        if self._versions and corrected:
            # An extract has valid readings only.
            yield repository.snapshot().versions(window)
            return
        repository.delete_extracts(self._key)
        try:
            extract = repository.create_extract(window, f"{self._key}/{window.start:%Y-%m-%d}")
            yield extract.frames(window, columns=frame.FULL_COLUMNS)
        finally:
            repository.delete_extracts(self._key)

    def _read_back(self, window: Window, expected: int, report: Report) -> Checksum:
        """Return the checksum of the target's readings. If some are not visible yet, wait for them."""
        for pause in self._pauses:
            found = self._read_target(window, report)
            if found.readings >= expected:
                return found
            raise_if_cancelled()
            time.sleep(pause)
        return self._read_target(window, report)

    def _read_target(self, window: Window, report: Report) -> Checksum:
        found = Checksum()
        revisions = self._target.snapshot().minute_revisions(window)["revision"]
        with self._frames(self._target, window, corrected=bool((revisions != 0).any())) as frames:
            for readings in frames:
                raise_if_cancelled()
                found.add(readings)
                report(len(readings))
        return found


def _batches(source: Iterable[pl.DataFrame], checksum: Checksum) -> Iterator[pl.DataFrame]:
    """Yield the readings in frames of about :data:`READINGS_PER_WRITE`, and add them to the checksum."""
    frames: list[pl.DataFrame] = []
    readings = 0
    for each in source:
        raise_if_cancelled()
        checksum.add(each)
        frames.append(each)
        readings += len(each)
        if readings >= READINGS_PER_WRITE:
            yield pl.concat(frames)
            frames, readings = [], 0
    if frames:
        yield pl.concat(frames)


def _states(repository: ReadingsRepository, window: Window) -> dict[date, tuple[int, int]]:
    """Return the number of readings of each day, and its revision."""
    minutes = repository.snapshot().minute_revisions(window)
    by_day = minutes.group_by(pl.col("minute").dt.date()).agg(pl.col("readings", "revision").sum())
    return {
        day: (readings, revision) for day, readings, revision in by_day.sort("minute").iter_rows()
    }


def _part_of_day(window: Window, day: date) -> Window:
    whole = window_of_day(day)
    assert whole.end is not None
    end = whole.end if window.end is None else min(window.end, whole.end)
    return replace(whole, start=max(window.start, whole.start), end=end)


def _bounds(window: Window) -> tuple[str, str]:
    assert window.end is not None
    return format_instant(window.start), format_instant(window.end)


def _difference(expected: Checksum, found: Checksum) -> str | None:
    """Return how the readings of the target differ from those of the source, or None."""
    if expected.readings != found.readings:
        return f"{expected.readings:,} readings in FROM, {found.readings:,} in TO"
    columns = expected.differing_columns(found)
    if columns:
        return (
            f"{expected.readings:,} readings in both, but other values of {', '.join(columns)} "
            f"(checksum {expected.hexdigest()[:16]}… in FROM, {found.hexdigest()[:16]}… in TO)"
        )
    return None
