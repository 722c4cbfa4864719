"""Rows of data files that stay decoded in memory.

Data files never change, so decoded rows stay valid. A page needs about a hundred rows of an interval of perhaps 500,000
readings, so rows are read by their number, in blocks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from threading import Lock

import polars as pl
from cachetools import LRUCache, cached
from cachetools.keys import hashkey

from readings import frame
from readings.instants import FIRST_INSTANT, to_micros
from readings.repositories.delta.data_files import (
    Columns,
    RowRange,
    collect,
    collect_all,
    scan_file,
)
from readings.repositories.delta.file_writer import ROWS_PER_GROUP
from readings.repositories.delta.folder import Folder
from readings.repositories.delta.versions import VersionRows, replace_versions
from readings.repositories.minute_index import as_int_array
from readings.window import Position, Window

DECODED_BYTES = 192 * 2**20
"""The memory in a process for decoded rows."""
BLOCK_ROWS = 1_000
"""The number of rows in a block. Pages decode whole blocks, and row groups hold whole blocks.

Decoding 100 rows took 0.55 ms, 1,000 rows 0.65 ms, and 2,000 rows 0.85 ms (elapsed time). A client that follows
``next`` needs every row.
"""
_BLOCKS_PER_GROUP = ROWS_PER_GROUP // BLOCK_ROWS
"""If a client reads block after block, a whole row group is decoded.

1,000 rows take 1.6 ms of processor time, and 10,000 take 2.3 ms.
"""
_MAX_BLOCKS = 8
"""A range of more blocks is read by one query, and not cached."""
_Key = tuple[int, str]
_EVERYTHING = Window(FIRST_INSTANT)

_cache: LRUCache[object, pl.DataFrame] = LRUCache(DECODED_BYTES, pl.DataFrame.estimated_size)
_lock = Lock()


@cached(_cache, lock=_lock)
def decode(folder: Folder, rows: VersionRows, columns: Columns) -> pl.DataFrame:
    """Return the valid versions in these rows, in order. ``columns`` must include those of ``frame.VERSION``."""
    return rows.read(folder, _EVERYTHING, columns)


def read_block(folder: Folder, file: str, number: int, columns: Columns) -> pl.DataFrame:
    """Return block ``number`` of a file: :data:`BLOCK_ROWS` rows, or fewer at its end.

    If the two blocks before it are in memory, the following ones are probably requested too. Then its whole row group
    is decoded.
    """
    if _takes_group(folder, file, number, columns):
        group, index_in_group = divmod(number, _BLOCKS_PER_GROUP)
        rows = _decode_group(folder, file, group, columns)
        return rows.slice(index_in_group * BLOCK_ROWS, BLOCK_ROWS)
    return _decode_block(folder, file, number, columns)


@cached(_cache, lock=_lock)
def _decode_block(folder: Folder, file: str, number: int, columns: Columns) -> pl.DataFrame:
    return _read(folder, file, number * BLOCK_ROWS, BLOCK_ROWS, columns)


@cached(_cache, key=partial(hashkey, "group"), lock=_lock)
def _decode_group(folder: Folder, file: str, group: int, columns: Columns) -> pl.DataFrame:
    rows = _BLOCKS_PER_GROUP * BLOCK_ROWS
    return _read(folder, file, group * rows, rows, columns)


def _takes_group(folder: Folder, file: str, number: int, columns: Columns) -> bool:
    """Return whether to take a block from its row group.

    This is so if the row group is in memory, or if the block is not in memory, but the two blocks before it are.
    """
    numbers = [number, number - 1, number - 2]
    blocks = [_decode_block.cache_key(folder, file, each, columns) for each in numbers]
    groups = [
        _decode_group.cache_key(folder, file, each // _BLOCKS_PER_GROUP, columns)
        for each in numbers
    ]
    with _lock:
        if groups[0] in _cache:
            return True
        if blocks[0] in _cache:
            return False
        return all(blocks[n] in _cache or groups[n] in _cache for n in (1, 2))


def _read(folder: Folder, file: str, start: int, length: int, columns: Columns) -> pl.DataFrame:
    return collect(scan_file(folder, file, columns).slice(start, length))


def blocks_between(start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the blocks with rows from ``start`` to ``end`` of a file: the number, and the bounds of the rows in it."""
    for number in range(start // BLOCK_ROWS, (end - 1) // BLOCK_ROWS + 1):
        before = number * BLOCK_ROWS
        yield number, max(start - before, 0), min(end - before, BLOCK_ROWS)


def read_device_ids(folder: Folder, file: str, start: int, length: int) -> pl.Series:
    """Return the device ids of ``length`` rows of a file, from row ``start``."""
    return _read(folder, file, start, length, ("device_id",))["device_id"]


def read_rows(
    folder: Folder, ranges: Iterable[RowRange], columns: Columns, *, skip: int, limit: int
) -> pl.DataFrame:
    """Return at most ``limit`` readings after the first ``skip`` of these rows, in the order of the ranges.

    If a range has corrections, ``columns`` must include those of ``frame.VERSION``.
    """
    found = [
        _read_range(folder, rows, start, length, columns)
        for rows, start, length in _slice(ranges, skip, limit)
    ]
    return found[0] if len(found) == 1 else pl.concat([frame.empty(columns), *found])


def _slice(
    ranges: Iterable[RowRange], skip: int, limit: int
) -> Iterator[tuple[RowRange, int, int]]:
    """Yield each range, the first of its rows to read, and how many."""
    for rows in ranges:
        length = min(rows.length - skip, limit)
        if length > 0:
            yield rows, rows.start + skip, length
            limit -= length
        skip = max(0, skip - rows.length)
        if not limit:
            return


def _read_range(
    folder: Folder, rows: RowRange, start: int, length: int, columns: Columns
) -> pl.DataFrame:
    end = start + length
    first, last = start // BLOCK_ROWS, (end - 1) // BLOCK_ROWS
    if last - first >= _MAX_BLOCKS:
        return _correct(folder, _read(folder, rows.file, start, length, columns), rows, columns)
    if rows.corrections:
        # The rows that belong to the range and to a block are the same for every page of the range.
        blocks = [
            _read_corrected(folder, rows, number, columns) for number in range(first, last + 1)
        ]
        before = max(rows.start, first * BLOCK_ROWS)
    else:
        blocks = [
            read_block(folder, rows.file, number, columns) for number in range(first, last + 1)
        ]
        before = first * BLOCK_ROWS
    joined = blocks[0] if len(blocks) == 1 else pl.concat(blocks)
    return joined.slice(start - before, length)


@cached(_cache, lock=_lock)
def _read_corrected(folder: Folder, rows: RowRange, number: int, columns: Columns) -> pl.DataFrame:
    """Return the valid versions of the readings that are in this range and in this block."""
    start = max(rows.start, number * BLOCK_ROWS)
    end = min(rows.start + rows.length, (number + 1) * BLOCK_ROWS)
    # Corrections belong to random meters. So those of a block after a third of the readings are probably after a third
    # of the corrections.
    share = (start - rows.start) / rows.length
    likely = [
        (each.file, (each.start + int(share * each.length)) // BLOCK_ROWS)
        for each in rows.corrections
    ]
    _read_together(folder, [(rows.file, number), *likely], columns)
    # A slice of a group would keep the whole group in memory.
    block = _decode_block(folder, rows.file, number, columns)
    stored = block.slice(start - number * BLOCK_ROWS, end - start)
    return _correct(folder, stored, rows, columns)


def _read_together(folder: Folder, blocks: Iterable[tuple[str, int]], columns: Columns) -> None:
    """Read those blocks (file and number) that are not decoded yet, in parallel."""
    keys = {_decode_block.cache_key(folder, *block, columns): block for block in blocks}
    with _lock:
        missing = {key: block for key, block in keys.items() if key not in _cache}
    queries = [
        scan_file(folder, file, columns).slice(number * BLOCK_ROWS, BLOCK_ROWS)
        for file, number in missing.values()
    ]
    decoded = collect_all(queries)
    with _lock:
        _cache.update(zip(missing, decoded, strict=True))


def _correct(
    folder: Folder, readings: pl.DataFrame, rows: RowRange, columns: Columns
) -> pl.DataFrame:
    """Return the valid versions of readings of a range, which are in order and not empty."""
    if not rows.corrections:
        return readings
    times, device_ids = readings["time"], readings["device_id"]
    first, last = (Position(times[row], device_ids[row]) for row in (0, -1))
    later = []
    for each in rows.corrections:
        skip = _search(folder, each, first, columns, _count_before)
        end = _search(folder, each, last, columns, count_up_to)
        later.append(read_rows(folder, [each], columns, skip=skip, limit=end - skip))
    others = pl.concat(later)
    if others.is_empty():
        return readings
    return replace_versions(readings, others, None)


def count_in_order_up_to(
    folder: Folder, rows: RowRange, position: Position, columns: Columns
) -> int:
    """Return how many readings of these rows, which are in order, are at or before the position.

    ``columns`` must include those of ``frame.ORDER``. The blocks stay in memory for a caller who reads the same
    columns.
    """
    return _search(folder, rows, position, columns, count_up_to)


def _search(
    folder: Folder,
    rows: RowRange,
    position: Position,
    columns: Columns,
    count_in: Callable[[pl.DataFrame, Position], int],
) -> int:
    """Return the number of rows that ``count_in`` counts, by calling it for few blocks of these rows."""

    def count(number: int, start: int, end: int) -> int:
        block = read_block(folder, rows.file, number, columns)
        return count_in(block.slice(start, end - start), position)

    return search_blocks(rows, position.device_id, count)


def search_blocks(rows: RowRange, device_id: str, count_in: Callable[[int, int, int], int]) -> int:
    """Return how many of these rows ``count_in`` counts. The rows must be in order, and the counted rows come first.

    ``count_in(number, start, end)`` counts rows of block ``number``: those from ``start`` up to, but without, ``end``.
    It is called for few blocks. Most device ids are random, so the place of ``device_id``, where the counted rows end,
    can be estimated. The block there is read first.
    """
    low, high = rows.start, rows.start + rows.length
    guess = low + int(rows.length * _share_before(device_id))
    step = 1
    while low < high:
        number = min(max(guess, low), high - 1) // BLOCK_ROWS
        before = number * BLOCK_ROWS
        start, end = max(low, before), min(high, before + BLOCK_ROWS)
        count = count_in(number, start - before, end - before)
        if 0 < count < end - start:
            return start + count - rows.start
        # The counted rows end before this block or after it. The next blocks are tried in growing steps.
        if count:
            low, guess = end, end + (step - 1) * BLOCK_ROWS
        else:
            high, guess = start, start - 1 - (step - 1) * BLOCK_ROWS
        step *= 4
    return low - rows.start


def count_up_to(readings: pl.DataFrame, position: Position) -> int:
    """Return how many of these readings, which are in order, are at or before the position."""
    return bisect_right(range(len(readings)), _key(position), key=_keys(readings))


def _count_before(readings: pl.DataFrame, position: Position) -> int:
    return bisect_left(range(len(readings)), _key(position), key=_keys(readings))


def _key(position: Position) -> _Key:
    return to_micros(position.time), position.device_id


def _keys(readings: pl.DataFrame) -> Callable[[int], _Key]:
    # Numbers: Polars takes ten times as long to return an instant.
    times, device_ids = as_int_array(readings["time"]), readings["device_id"]
    return lambda row: (times[row], device_ids[row])


def _share_before(device_id: str) -> float:
    """Return the share of random device ids (hexadecimal) that come before this one."""
    try:
        return int(device_id[:8], 16) / 16**8
    except ValueError:
        return 0.5
