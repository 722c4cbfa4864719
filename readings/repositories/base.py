"""What a readings repository does. One implementation per ``READINGS_URL`` scheme."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from readings import frame
from readings.window import Position, Window

LOADS_SCHEMA = {
    "minute": frame.INSTANT,
    "readings": pl.Int64(),
    "late": pl.Int64(),
    "kw": pl.Float64(),
}
"""Readings of a minute, how many of them arrived later than their time, and the sum of their active power, kW."""

HOURS_SCHEMA = {
    "hour": frame.INSTANT,
    "readings": pl.Int64(),
    "late": pl.Int64(),
    **dict.fromkeys(("kw", "vltg", "crrnt", "pf"), pl.Float64()),
}
"""Readings of an hour, how many of them arrived later than their time, and the means of what they measured."""


class RepositoryUnavailableError(Exception):
    """The store cannot be reached or read now; trying again later may help."""


class ReadingsRefusedError(Exception):
    """The store does not take some readings, now or later; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Page:
    """One page of a window.

    ``readings`` is a readings frame; ``more`` tells whether the window goes on behind it.
    """

    readings: pl.DataFrame
    more: bool


class Extract(ABC):
    """Readings to be read in bulk, by any number of processes."""

    name: str
    """Names the extract, so that another process can ask the repository for the same; 200 characters at most."""

    @abstractmethod
    def counts(self, window: Window) -> pl.DataFrame:
        """How many readings ``window`` holds by minute: columns ``minute`` (instant), ``readings``; ascending."""

    @abstractmethod
    def frames(self, window: Window) -> Iterator[pl.DataFrame]:
        """The readings of ``window`` in order, as frames that end on a whole minute.

        Memory is bounded by the frames, not by the window. Empty frames are left out.
        """


class Snapshot(Extract):
    """The repository as it stood at one moment, as far as its engine keeps moments apart."""

    @abstractmethod
    def page(
        self, window: Window, *, offset: int, size: int, after: Position | None = None
    ) -> Page:
        """At most ``size`` readings of ``window`` behind row ``offset``, or behind ``after`` when given.

        ``after`` makes a page cost what it returns, wherever it is; with it ``offset`` has no effect.
        """

    @abstractmethod
    def loads(self, window: Window) -> pl.DataFrame:
        """What the window's readings come to by minute: columns of :data:`LOADS_SCHEMA`, ascending."""

    @abstractmethod
    def hours(self, window: Window) -> pl.DataFrame:
        """What the window's readings come to by hour: columns of :data:`HOURS_SCHEMA`, ascending."""

    @abstractmethod
    def days(self) -> pl.DataFrame:
        """What is kept, a row a day, ascending.

        Columns ``day`` (date), ``earliest`` and ``latest`` (instants of ``time``), ``readings``,
        ``intervals`` (distinct times), ``meters`` (distinct device ids).
        """

    @abstractmethod
    def meters(self) -> int:
        """How many meters have readings, in all."""


class ReadingsRepository(ABC):
    """Where readings are kept."""

    @abstractmethod
    def snapshot(self, name: str | None = None) -> Snapshot:
        """The newest state, or the one that :attr:`Snapshot.name` named.

        Raises :class:`RepositoryUnavailableError` when the store cannot be reached, or no longer
        has that snapshot.
        """

    def extract(self, window: Window, key: str) -> Extract:
        """The readings of ``window`` made ready to be read in bulk, until ``key`` is released.

        ``key`` is the caller's, two words with a slash between: what it is for, and which try. Raises
        :class:`RepositoryUnavailableError`.
        """
        return self.snapshot()

    def extracted(self, name: str) -> Extract:
        """The extract that :attr:`Extract.name` named. Raises :class:`RepositoryUnavailableError`."""
        return self.snapshot(name)

    def extracts(self) -> Iterable[str]:
        """What extracts are for that take up room until they are released: their keys' first words."""
        return ()

    def release(self, key: str) -> None:  # noqa: B027 (an engine that makes nothing has nothing to release)
        """Nobody will read the extracts any more whose keys begin with this word."""

    @abstractmethod
    def write(self, readings: pl.DataFrame) -> int:
        """Keep the readings that are not there yet, and say how many they were.

        An engine that can keeps all of them at once or none. A reading whose (``device_id``, ``time``) is kept already is left as it is: writing the same
        frame again changes nothing, whoever wrote it and however far an earlier try came.
        """

    @abstractmethod
    def delete_before(self, instant: datetime) -> None:
        """Forget the days that ended before ``instant``; an engine that deletes by age may keep a day more."""

    @abstractmethod
    def upkeep(self) -> dict[str, int]:
        """Bring the store in order (compaction, removal of leftovers); says what was done, by name."""
