"""The next page of a client that follows ``next``, if the page ends within its minute.

Most next pages do not. The readings of a minute are adjacent rows of a file, so nothing is counted for such a page.
"""

from __future__ import annotations

from readings.records_json import Records, numbered_json
from readings.repositories.delta.data_files import Columns
from readings.repositories.delta.decoded_rows import BLOCK_ROWS, count_in_order_up_to, read_rows
from readings.repositories.delta.record_blocks import count_records_up_to, read_records
from readings.repositories.delta.version_finder import VersionFinder
from readings.repositories.page import Page
from readings.window import Position, Window


def page_in_minute(
    versions: VersionFinder, columns: Columns, window: Window, after: Position, size: int
) -> Page | None:
    """Return the ``size`` readings of the window after a position, or None if its minute may not hold all of them.

    Return None also if the readings of the minute are not stored in order. ``columns`` must include those of
    ``frame.VERSION``.
    """
    rows = versions.minute_in_order(after.time)
    if rows is None or not _contains_rest_of_minute(window, after):
        return None
    skip = count_in_order_up_to(versions.folder, rows, after, columns)
    if rows.length - skip <= size:
        return None
    return Page(read_rows(versions.folder, [rows], columns, skip=skip, limit=size), more=True)


def records_in_minute(
    versions: VersionFinder, window: Window, after: Position, *, size: int, offset: int
) -> Records | None:
    """Return the records of :func:`page_in_minute`, or None if it returns None or the minute has corrections.

    The row number of the first record is ``offset`` + 1. For pages that are larger than a block, text is not cached.
    """
    rows = versions.minute_in_order(after.time)
    if rows is None or rows.corrections or not _contains_rest_of_minute(window, after):
        return None
    if size > BLOCK_ROWS:
        return None
    skip = count_records_up_to(versions.folder, rows, after)
    if rows.length - skip <= size:
        return None
    texts, last = read_records(versions.folder, rows, skip=skip, limit=size)
    return Records(numbered_json(texts, offset + 1), size, last, more=True)


def _contains_rest_of_minute(window: Window, after: Position) -> bool:
    """Return whether all readings that follow the position in its minute are in the window."""
    last_instant = after.time.replace(second=59, microsecond=999_999)
    return (
        window.bounds_time_only
        and window.start <= after.time
        and (window.end is None or window.end >= last_instant)
    )
