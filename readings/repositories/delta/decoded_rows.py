"""Rows of data files that stay decoded in memory.

Data files never change, so decoded rows stay valid. A page needs about a hundred rows of an interval of perhaps 500,000
readings, so rows are read by their number, in blocks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from threading import Lock

import polars as pl
from cachetools import LRUCache, cached

from readings import frame
from readings.repositories.delta.data_files import RowRange, RowSelection, collect
from readings.repositories.delta.folder import Folder
from readings.window import Position

DECODED_BYTES = 256 * 2**20
"""The memory in a process for decoded rows."""
BLOCK_ROWS = 1_000
"""How many rows of a file are decoded together. Row groups hold whole blocks.

A hundred rows take 0.55 ms, 1,000 take 0.65 ms, 2,000 take 0.85 ms. A client that follows ``next`` reads all of them.
"""
_MAX_BLOCKS = 8
"""A range of more blocks is read at once, and not cached."""
Columns = tuple[str, ...]
"""Names of columns of ``frame.FULL_SCHEMA``. A tuple, because it is a part of cache keys."""
_OPEN_FILES = 64
"""The number of parsed footers that are kept: about 0.3 MB each. To parse one takes as long as to decode a page."""
_QUERIES_OF_A_FILE = 4
"""How many selections of columns are kept for each open file."""

_cache: LRUCache[object, pl.DataFrame] = LRUCache(DECODED_BYTES, pl.DataFrame.estimated_size)
_lock = Lock()


@cached(_cache, lock=_lock)
def decode(folder: Folder, rows: RowSelection, columns: Columns) -> pl.DataFrame:
    """Return the readings of these rows, in order. ``columns`` must include those of ``frame.ORDER``."""
    return frame.in_order(collect(rows.scan(folder).select(columns)))


@cached(_cache, lock=_lock)
def _read_block(folder: Folder, file: str, number: int, columns: Columns) -> pl.DataFrame:
    return _read(folder, file, number * BLOCK_ROWS, BLOCK_ROWS, columns)


def _read(folder: Folder, file: str, start: int, length: int, columns: Columns) -> pl.DataFrame:
    return collect(scan_file(folder, file, columns).slice(start, length))


@lru_cache(_OPEN_FILES)
def _open_file(folder: Folder, file: str) -> pl.LazyFrame:
    # A query keeps the footer of its file, also for the queries that are derived from it.
    return folder.scan([file])


@lru_cache(_OPEN_FILES * _QUERIES_OF_A_FILE)
def scan_file(folder: Folder, file: str, columns: Columns) -> pl.LazyFrame:
    """Return the readings of a data file. Its footer is parsed once. A column that the file does not have is null."""
    readings = _open_file(folder, file)
    # With a given schema, as in `scan_files`, reading a block takes a fifth more time.
    stored = readings.collect_schema()
    return readings.select(
        pl.col(name) if name in stored else pl.lit(None, frame.FULL_SCHEMA[name]).alias(name)
        for name in columns
    )


def read_device_ids(folder: Folder, file: str, start: int, length: int) -> pl.Series:
    """Return the device ids of ``length`` rows of a file, from row ``start``."""
    return _read(folder, file, start, length, ("device_id",))["device_id"]


def read_rows(
    folder: Folder, ranges: Iterable[RowRange], columns: Columns, *, skip: int, limit: int
) -> pl.DataFrame:
    """Return at most ``limit`` readings after the first ``skip`` of these rows, in the order of the ranges."""
    found = [_read_range(folder, rows, columns) for rows in _slice(ranges, skip, limit)]
    return found[0] if len(found) == 1 else pl.concat([frame.empty(columns), *found])


def _slice(ranges: Iterable[RowRange], skip: int, limit: int) -> Iterator[RowRange]:
    for rows in ranges:
        length = min(rows.length - skip, limit)
        if length > 0:
            yield RowRange(rows.file, rows.start + skip, length)
            limit -= length
        skip = max(0, skip - rows.length)
        if not limit:
            return


def _read_range(folder: Folder, rows: RowRange, columns: Columns) -> pl.DataFrame:
    end = rows.start + rows.length
    first, last = rows.start // BLOCK_ROWS, (end - 1) // BLOCK_ROWS
    if last - first >= _MAX_BLOCKS:
        return _read(folder, rows.file, rows.start, rows.length, columns)
    blocks = [_read_block(folder, rows.file, number, columns) for number in range(first, last + 1)]
    joined = blocks[0] if len(blocks) == 1 else pl.concat(blocks)
    return joined.slice(rows.start - first * BLOCK_ROWS, rows.length)


def count_in_order_up_to(
    folder: Folder, rows: RowRange, position: Position, columns: Columns
) -> int:
    """Return how many readings of these rows, which are in order, are at or before the position.

    ``columns`` must include those of ``frame.ORDER``. The blocks stay in memory for a caller who reads the same columns.
    Most device ids are random, so the place of one among the others can be estimated. The block there is read first.
    """
    low, high = rows.start, rows.start + rows.length
    guess = low + int(rows.length * _share_before(position.device_id))
    step = 1
    while low < high:
        number = min(max(guess, low), high - 1) // BLOCK_ROWS
        start = max(low, number * BLOCK_ROWS)
        end = min(high, (number + 1) * BLOCK_ROWS)
        inside = _read_block(folder, rows.file, number, columns).slice(
            start % BLOCK_ROWS, end - start
        )
        count = count_up_to(inside, position)
        if 0 < count < len(inside):
            return start + count - rows.start
        # The position is before this block or after it. The next blocks are tried in growing steps.
        if count:
            low, guess = end, end + (step - 1) * BLOCK_ROWS
        else:
            high, guess = start, start - 1 - (step - 1) * BLOCK_ROWS
        step *= 4
    return low - rows.start


def count_up_to(readings: pl.DataFrame, position: Position) -> int:
    """Return how many of these readings, which are in order, are at or before the position."""
    times, device_ids = readings["time"], readings["device_id"]
    return bisect_right(
        range(len(readings)),
        (position.time, position.device_id),
        key=lambda row: (times[row], device_ids[row]),
    )


def _share_before(device_id: str) -> float:
    """Return the share of random device ids (hexadecimal) that come before this one."""
    try:
        return int(device_id[:8], 16) / 16**8
    except ValueError:
        return 0.5
