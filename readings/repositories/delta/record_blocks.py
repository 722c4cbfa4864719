"""A cache with the JSON text of records, for blocks of rows in data files.

A client that follows ``next`` reads all rows of a block, so the text of the block is written once for all its pages.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from threading import Lock

from cachetools import LRUCache, cached

from readings import frame
from readings.instants import from_micros, to_micros
from readings.records_json import record_texts
from readings.repositories.delta import decoded_rows
from readings.repositories.delta.data_files import RowRange
from readings.repositories.delta.folder import Folder
from readings.repositories.minute_index import as_int_array
from readings.window import Position

MAX_BLOCKS = 150
"""The number of blocks that a process caches. Each takes about 0.4 MB."""
_COLUMNS = tuple(frame.COLUMNS)


@dataclass(frozen=True)
class _Block:
    """Adjacent rows of a file: their times in microseconds since 1970, their meters, and their :func:`record_texts`."""

    times: list[int]
    device_ids: list[str]
    texts: list[str]

    def count_up_to(self, time: int, device_id: str, start: int, end: int) -> int:
        """Return how many rows from ``start`` to ``end``, which are in order, are at or before a time and a meter."""
        first = bisect_left(self.times, time, start, end)
        after = bisect_right(self.times, time, first, end)
        return bisect_right(self.device_ids, device_id, first, after) - start

    def position(self, row: int) -> Position:
        return Position(from_micros(self.times[row]), self.device_ids[row])


@cached(LRUCache(MAX_BLOCKS), lock=Lock())
def _read_block(folder: Folder, file: str, number: int) -> _Block:
    readings = decoded_rows.read_block(folder, file, number, _COLUMNS)
    times = as_int_array(readings["time"]).tolist()
    return _Block(times, readings["device_id"].to_list(), record_texts(readings))


def count_records_up_to(folder: Folder, rows: RowRange, position: Position) -> int:
    """Return how many readings of these rows, which are in order, are at or before the position."""
    time, device_id = to_micros(position.time), position.device_id

    def count(number: int, start: int, end: int) -> int:
        return _read_block(folder, rows.file, number).count_up_to(time, device_id, start, end)

    return decoded_rows.search_blocks(rows, device_id, count)


def read_records(
    folder: Folder, rows: RowRange, *, skip: int, limit: int
) -> tuple[list[str], Position]:
    """Return the :func:`record_texts` of ``limit`` rows after the first ``skip``, and the position of the last one."""
    start = rows.start + skip
    end = start + limit
    texts: list[str] = []
    for number, first, last in decoded_rows.blocks_between(start, end):
        block = _read_block(folder, rows.file, number)
        texts += block.texts[first:last]
    return texts, block.position(last - 1)
