"""Rows of queries: the valid ones of several versions, the column that is not stored, and a cache."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import polars as pl
from cachetools import LRUCache

from readings import frame

VERSION_SCHEMA = {name: frame.SCHEMA[name] for name in frame.VERSION} | {"written": frame.INSTANT}
"""The columns that tell which of several rows of a reading is valid."""
_CACHED_BYTES = 64 * 1024 * 1024


def valid_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the valid version of each reading, in order. ``rows`` are in order, and have :data:`VERSION_SCHEMA`."""
    if frame.is_in_strict_order(rows):
        return rows
    by_validity = rows.sort(*frame.VERSION, "written", descending=[False, False, False, True])
    return by_validity.unique(frame.ORDER, keep="last", maintain_order=True)


def with_measure_name(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return these columns. The measure name is the same in all readings, and no query returns it.

    ``rows`` must begin with the other ``columns``, in the same order. Further columns are removed.
    """
    if "measure_name" in columns:
        # `with_columns` and `select` are two queries of Polars, which take longer than the rest of a cached page.
        name = pl.Series("measure_name", [frame.MEASURE_NAME]).new_from_index(0, len(rows))
        rows = rows.clone().insert_column(columns.index("measure_name"), name)
    return rows if rows.columns == [*columns] else rows.select(columns)


class PageCache:
    """Rows of queries, at most 64 MB. A key contains the states of the days, so rows of a changed day are not found."""

    def __init__(self) -> None:
        self._rows: LRUCache[Any, pl.DataFrame] = LRUCache(
            _CACHED_BYTES, getsizeof=lambda rows: int(rows.estimated_size()) + 1_000
        )
        self._lock = Lock()

    def get(self, key: Any) -> pl.DataFrame | None:
        """Return the rows that were stored with this key, if they are still cached."""
        with self._lock:
            return self._rows.get(key)

    def store(self, key: Any, rows: pl.DataFrame) -> None:
        """Store rows with a key. Rows of more than 32 MB are not cached."""
        with self._lock:
            if rows.estimated_size() < _CACHED_BYTES // 2:
                self._rows[key] = rows

    def clear(self) -> None:
        """Forget all rows."""
        with self._lock:
            self._rows.clear()
