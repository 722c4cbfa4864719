"""The interface of a readings repository. Each ``READINGS_URL`` scheme has one implementation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import polars as pl

from readings import frame
from readings.instants import EARLIEST_INSTANT
from readings.records_json import Records
from readings.repositories.page import Page
from readings.window import Position, Window

INTERVAL_TOTALS_SCHEMA = {
    "minute": frame.INSTANT,
    "readings": pl.Int64(),
    "late": pl.Int64(),
    "kw": pl.Float64(),
    "import_kwh": pl.Float64(),
    "export_kwh": pl.Float64(),
}
"""One row per minute: its readings, how many of them are late, and sums.

``kw`` is the sum of the active power. ``import_kwh`` is the sum of ``kwh`` of the readings in which it is positive, and
``export_kwh`` that of the others, as a positive number. A sum is 0 if no reading has the measure.
"""

HOURLY_MEANS_SCHEMA = {
    "hour": frame.INSTANT,
    "readings": pl.Int64(),
    "late": pl.Int64(),
    **dict.fromkeys(("kw", "vltg", "crrnt", "pf", "kwh"), pl.Float64()),
}
"""One row per hour: its readings, how many of them are late, the mean of each measured column, and the sum of ``kwh``.

A mean or sum covers the readings that have the measure. It is null if there are none.
"""

METER_SUMMARIES_SCHEMA = {
    "device_id": pl.String(),
    "first": frame.INSTANT,
    "last": frame.INSTANT,
    "readings": pl.Int64(),
}
"""One row per meter: the times of its first and its last reading, and how many it has."""


class Extract(ABC):
    """Readings prepared for a bulk read. Any number of processes can read it at the same time.

    All methods raise :class:`RepositoryUnavailableError` if the repository cannot be read.
    """

    name: str
    """Another process opens the same extract by this name. At most 200 characters."""

    @abstractmethod
    def minute_counts(self, window: Window) -> pl.DataFrame:
        """Return how many readings of ``window`` each minute holds.

        Columns ``minute`` (instant) and ``readings`` (at least 1), ascending.
        """

    @abstractmethod
    def frames(
        self, window: Window, *, columns: Sequence[str] = frame.COLUMNS
    ) -> Iterator[pl.DataFrame]:
        """Yield the readings of ``window`` in order, as frames of whole minutes.

        The frames have these ``columns``, some of ``frame.FULL_SCHEMA``, in this order. Memory is bounded by one frame,
        not by the window. Empty frames are skipped.
        """


class Snapshot(Extract):
    """The repository at one moment, if the engine keeps old versions; otherwise the current state.

    All methods but :meth:`versions` and :meth:`minute_revisions` return the valid version of each reading: the one
    that arrived last, not later than the window's ``as_of``.
    """

    reads_few_columns_faster = False
    """Whether several pages of a meter with few columns usually take less time than one page with all columns.

    It is False for an engine with a server: there, each query takes time.
    """

    @abstractmethod
    def page(
        self,
        window: Window,
        *,
        offset: int,
        size: int,
        after: Position | None = None,
        columns: Sequence[str] = frame.COLUMNS,
    ) -> Page:
        """Return at most ``size`` readings of ``window`` that follow its first ``offset`` readings.

        The page has these ``columns``, some of ``frame.FULL_SCHEMA``, in this order. If ``after`` is given, the page
        starts after that position and ``offset`` is ignored. The cost of such a page depends on its size only, not on
        where it is in the window.
        """

    def next_records(
        self, window: Window, after: Position, *, size: int, offset: int
    ) -> Records | None:
        """Return the records of the page after a position, if the engine caches their text; otherwise None.

        They are those of :meth:`page`, with the columns ``frame.COLUMNS``. The first one has the row number ``offset`` + 1.
        """
        return None

    @abstractmethod
    def versions(self, window: Window) -> Iterator[pl.DataFrame]:
        """Yield all stored versions of the window's readings, sorted by ``frame.VERSION``, as frames of whole minutes.

        A frame has the columns of ``frame.FULL_SCHEMA``. The window's bounds of the arrival time select versions: a
        version that is not valid is included. An engine without the capability ``keeps_replaced_versions`` has only
        one version of each reading.
        """

    @abstractmethod
    def minute_revisions(self, window: Window) -> pl.DataFrame:
        """Return the counts of the window's minutes, and a number that changes when a reading is corrected.

        The window bounds only the time. The columns are ``minute`` and ``readings``, as in :meth:`minute_counts`, and
        ``revision``: an integer that changes with each correction of one of the minute's readings. If the engine keeps
        replaced versions, it is 0 without corrections.
        """

    def may_be_corrected(self, window: Window) -> bool:
        """Return whether a reading of the window may have been corrected. True if the engine cannot tell."""
        return True

    @abstractmethod
    def interval_totals(self, window: Window) -> pl.DataFrame:
        """Return the totals of the window's readings by minute: :data:`INTERVAL_TOTALS_SCHEMA`, ascending."""

    @abstractmethod
    def hourly_means(self, window: Window) -> pl.DataFrame:
        """Return the means and the energy of the window's readings by hour: :data:`HOURLY_MEANS_SCHEMA`, ascending."""

    @abstractmethod
    def last_times(self, window: Window) -> pl.DataFrame:
        """Return the meters of the window's readings: columns ``device_id`` and ``last``, the newest time of each."""

    def reading_times(self, *windows: Window) -> pl.DataFrame:
        """Return the columns ``frame.ORDER`` of the readings of some windows, in any order.

        Every window names meters, and no meter is in two windows. An engine with a server sends one query.
        """
        found = (each for window in windows for each in self.frames(window, columns=frame.ORDER))
        return pl.concat([frame.empty(frame.ORDER), *found])

    def meter_summaries(self, device_ids: Sequence[str]) -> pl.DataFrame:
        """Return :data:`METER_SUMMARIES_SCHEMA` of one or more meters, by device id; not of meters without readings.

        If the ids are adjacent in the order of all ids, the cost depends on the number of these meters and of stored
        intervals, and not on the number of all meters.
        """
        times = self.reading_times(Window(EARLIEST_INSTANT, device_ids=tuple(device_ids)))
        time = pl.col("time")
        summaries = times.group_by("device_id").agg(
            time.min().alias("first"), time.max().alias("last"), time.len().alias("readings")
        )
        return summaries.cast({"readings": pl.Int64()}).sort("device_id")

    @abstractmethod
    def day_summaries(self) -> pl.DataFrame:
        """Return a summary of the repository, one row per UTC day, ascending.

        Columns ``day`` (date), ``earliest`` and ``latest`` (instants of ``time``), ``readings``,
        ``intervals`` (distinct times), ``meters`` (distinct device ids).
        """

    @abstractmethod
    def meter_count(self) -> int:
        """Return the number of meters that have at least one reading."""


class ReadingsRepository(ABC):
    """The place where readings are stored.

    All methods raise :class:`RepositoryUnavailableError` if it cannot be reached, read or written.
    """

    @abstractmethod
    def snapshot(self, name: str | None = None) -> Snapshot:
        """Return the newest snapshot, or the one with this :attr:`Snapshot.name`.

        Raises :class:`RepositoryUnavailableError` if the repository cannot be used, or if this snapshot does not exist.
        """

    def recent_snapshot(self) -> Snapshot:
        """Return a snapshot that was the newest one not more than a second ago.

        Looking for a newer one can take longer than reading a page. A caller that must see everything that was written
        before its call uses :meth:`snapshot`.
        """
        return self.snapshot()

    def newer_snapshot(self, recent: Snapshot) -> Snapshot | None:
        """Return the newest snapshot, or None if ``recent``, a result of :meth:`recent_snapshot`, shows the same."""
        return None

    def check(self) -> None:  # noqa: B027 (not abstract: most engines need no check)
        """Raise :class:`RepositoryUnavailableError` if the engine cannot guarantee that no reading is lost.

        ``manage.py setup`` calls it. It may write, and create a missing table.
        """

    @abstractmethod
    def table_id(self) -> str:
        """Return an id of the table. Another table has another id, even if it has the same address.

        Raises :class:`RepositoryUnavailableError` if the table is missing.
        """

    def probe(self) -> None:
        """Check, at little cost, that readings can be read now. Raises an error if they cannot."""
        self.snapshot()

    def create_extract(self, window: Window, key: str) -> Extract:
        """Prepare the readings of ``window`` for a bulk read and return the extract.

        ``key`` is chosen by the caller: an owner and an attempt, separated by one slash. The extract exists
        until its owner calls :meth:`delete_extracts`.
        """
        return self.snapshot()

    def open_extract(self, name: str) -> Extract:
        """Return the extract with this :attr:`Extract.name`.

        Raises :class:`RepositoryUnavailableError` if the repository cannot be used, or if this extract does not exist.
        """
        return self.snapshot(name)

    def extract_owners(self) -> Iterable[str]:
        """Return the owners (first parts of the keys) of all extracts that take up storage."""
        return ()

    def delete_extracts(self, owner: str) -> None:  # noqa: B027 (most engines store no extracts)
        """Delete all extracts of this owner. The caller ensures that no process reads them any more."""

    def write(self, readings: pl.DataFrame, *, corrections: bool = False) -> int:
        """Put the readings in order, store those that are new, and return how many were new.

        ``readings`` has the columns of ``frame.SCHEMA``, and may have those of ``frame.FURTHER_SCHEMA``. A reading
        whose (``device_id``, ``time``) is already stored stays unchanged. With ``corrections``, it is new if no version
        with its ``arrival_time`` is stored: then all its versions stay stored, and the one that arrived last is valid.
        So writing the same frame again is safe, even after another process stopped in the middle of it. If the engine
        supports it, the write is atomic: all new readings are stored or none.

        Raises :class:`ReadingsRefusedError`.
        """
        in_order = frame.in_order_without_duplicates(readings, corrections=corrections)
        return self.write_in_order(in_order, corrections=corrections)

    @abstractmethod
    def write_in_order(self, readings: pl.DataFrame, *, corrections: bool = False) -> int:
        """Store the readings that are new, and return how many were new.

        ``readings`` is a result of ``frame.in_order_without_duplicates`` with the same ``corrections``, which is not
        checked again. Everything else is as in :meth:`write`.
        """

    @abstractmethod
    def delete_before(self, instant: datetime) -> None:
        """Delete the days that ended before ``instant``. An engine that deletes by age may keep one day more."""

    @abstractmethod
    def maintain(self, *, may_delete: bool = True) -> dict[str, int]:
        """Compact the storage. If ``may_delete``, also delete unused files that are old.

        Callers pass False if the clock cannot be trusted: then the age of a file is not known.

        Return how often each action was done, by its name.
        """
