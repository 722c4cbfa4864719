"""The next page of a client that follows ``next``, if it does not reach beyond a minute.

Most next pages do not. The readings of a minute are adjacent rows of a file, so nothing is counted for such a page.
"""

from __future__ import annotations

from readings.repositories.base import Page
from readings.repositories.delta.data_files import Columns, RowRange
from readings.repositories.delta.decoded_rows import count_in_order_up_to, read_rows
from readings.repositories.delta.folder import Folder
from readings.window import Position, Window


def page_in_minute(
    folder: Folder, rows: RowRange, columns: Columns, window: Window, after: Position, size: int
) -> Page | None:
    """Return the ``size`` readings of the window after a position, or None if its minute may not hold all of them.

    ``rows`` are those of the position's minute, in order. ``columns`` must include those of ``frame.VERSION``.
    """
    if not window.bounds_time_only or after.time < window.start:
        return None
    last_instant = after.time.replace(second=59, microsecond=999_999)
    if window.end is not None and window.end < last_instant:
        return None
    skip = count_in_order_up_to(folder, rows, after, columns)
    if rows.length - skip <= size:
        return None
    return Page(read_rows(folder, [rows], columns, skip=skip, limit=size), more=True)
