"""What a readings repository does. One implementation per ``READINGS_URL`` scheme."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from readings.window import Position, Window


class RepositoryUnavailableError(Exception):
    """The store cannot be reached or read now; trying again later may help."""


@dataclass(frozen=True)
class Page:
    """One page of a window.

    ``readings`` is a readings frame; ``more`` tells whether the window goes on behind it.
    """

    readings: pl.DataFrame
    more: bool


class Snapshot(ABC):
    """The repository as it stood at one moment; nothing written later shows."""

    name: str
    """Names the snapshot, so that another process can ask the repository for the same."""

    @abstractmethod
    def page(
        self, window: Window, *, offset: int, size: int, after: Position | None = None
    ) -> Page:
        """At most ``size`` readings of ``window`` behind row ``offset``, or behind ``after`` when given.

        ``after`` makes a page cost what it returns, wherever it is; with it ``offset`` has no effect.
        """

    @abstractmethod
    def counts(self, window: Window) -> pl.DataFrame:
        """How many readings ``window`` holds by minute: columns ``minute`` (instant), ``readings``; ascending."""

    @abstractmethod
    def frames(self, window: Window) -> Iterator[pl.DataFrame]:
        """The readings of ``window`` in order, as frames that end on a whole minute.

        Memory is bounded by the largest minute, not by the window. Empty frames are left out.
        """

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

    @abstractmethod
    def write(self, readings: pl.DataFrame) -> int:
        """Keep the readings that are not there yet, all of them at once or none, and say how many they were.

        A reading whose (``device_id``, ``time``) is kept already is left as it is: writing the same
        frame again changes nothing, whoever wrote it and however far an earlier try came.
        """

    @abstractmethod
    def delete_before(self, instant: datetime) -> None:
        """Forget the days that ended before ``instant``."""

    @abstractmethod
    def upkeep(self) -> dict[str, int]:
        """Bring the store in order (compaction, removal of leftovers); says what was done, by name."""
