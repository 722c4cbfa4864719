"""Split a window into chunks: what one query, one frame or one part of a file holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from readings.repositories.minute_index import LAST_MICROSECOND


@dataclass(frozen=True)
class Chunk:
    """Consecutive whole minutes of a window, from ``first_minute`` to ``last_minute`` inclusive.

    Both are the instants at which a minute begins. ``readings`` is how many readings they hold.
    """

    first_minute: datetime
    last_minute: datetime
    readings: int

    @property
    def start(self) -> datetime:
        """The first instant of the chunk."""
        return self.first_minute

    @property
    def end(self) -> datetime:
        """The last instant of the chunk (inclusive, as the end of a window is)."""
        return self.last_minute + LAST_MICROSECOND


def split_into_chunks(counts: pl.DataFrame, size: int) -> list[Chunk]:
    """Return chunks of about ``size`` readings that together hold every counted minute, in order.

    ``counts`` has the columns ``minute`` (instant) and ``readings`` (at least 1), one row per minute,
    ascending. A minute is never split, so a chunk may hold more than ``size``, by less than the readings of
    one minute.
    """
    number = (pl.col("readings").cum_sum() - 1) // size
    chunks = counts.group_by(number.alias("number"), maintain_order=True).agg(
        pl.col("minute").first().alias("first_minute"),
        pl.col("minute").last().alias("last_minute"),
        pl.col("readings").sum(),
    )
    return [Chunk(*row) for row in chunks.drop("number").iter_rows()]
