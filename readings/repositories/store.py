"""The interface of a store: the folder, table or bucket in which an engine keeps a repository."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime


class Store(ABC):
    """The place of one repository. Opening it creates nothing and connects to nothing.

    All methods raise :class:`RepositoryUnavailableError` if the place cannot be reached.
    """

    name: str
    """How an operator names the store, such as ``/srv/readings`` or ``database.table``."""
    identity: str
    """Two stores with the same identity are the same place."""

    def is_same_place(self, other: Store) -> bool:
        """Return whether both are the same place, even if their URLs write it differently. May look up host names."""
        return self.identity == other.identity

    @abstractmethod
    def exists(self) -> bool:
        """Return whether the folder, table or bucket prefix was created."""

    @abstractmethod
    def create(self) -> list[str]:
        """Create what is missing. Return one line for each part: whether it was created or existed already."""

    def describe(self) -> list[str]:
        """Return details of an existing store that only this engine has, such as its retention, as lines."""
        return []

    def size(self) -> int | None:
        """Return the bytes that an existing store takes up, or None if the engine does not know them."""
        return None

    def refusal(self, first: datetime, last: datetime) -> str | None:
        """Return why an existing store does not accept readings of these times, or None if it does."""
        return None

    @abstractmethod
    def destroy(self) -> list[str]:
        """Delete all readings and everything else that belongs to the store. Return one line for each deleted part.

        An interrupted deletion can be repeated. Raises :class:`NotOnlyReadingsError` before it deletes anything.
        """


class NotOnlyReadingsError(Exception):
    """The store holds something that no repository wrote, so it is not deleted. The message says what."""
