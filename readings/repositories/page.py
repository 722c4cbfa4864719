"""One page of the readings of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Page:
    """One page of a window.

    ``readings`` is a readings frame. ``more`` is true if the window has readings after this page.
    """

    readings: pl.DataFrame
    more: bool

    def select(self, columns: Sequence[str]) -> Page:
        """Return the page with these columns only."""
        return Page(self.readings.select(columns), self.more)

    @classmethod
    def first_of(cls, readings: pl.DataFrame, size: int) -> Page:
        """Return a page of the first ``size`` of these readings. If there are more, another page follows."""
        return cls(readings.head(size), more=len(readings) > size)
