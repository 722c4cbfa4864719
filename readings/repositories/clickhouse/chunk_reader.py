"""Reads the readings of many windows, one query for each. The server runs the next query while a result is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import polars as pl

from readings import frame
from readings.repositories.clickhouse.client import Client
from readings.repositories.clickhouse.minute_reader import schema_of, stored_columns
from readings.repositories.clickhouse.query import Query
from readings.repositories.clickhouse.rows import with_measure_name
from readings.repositories.clickhouse.sql import Statements
from readings.window import Window


class ChunkReader:
    """Reads the readings of windows: all of them, or those that were written up to an instant.

    Nearly all readings have one row. With ``FINAL``, the server compares all rows of parts that are not merged, which
    takes a third longer. So rows are read without ``FINAL``, and compared here. If a reading has several rows, its
    window is read again with ``FINAL``.
    """

    def __init__(
        self,
        statements: Statements,
        client: Client,
        columns: Sequence[str],
        written_until: datetime | None = None,
    ) -> None:
        """``columns`` are those of the frames that :meth:`read` yields."""
        self._statements = statements
        self._client = client
        self._columns = columns
        self._written_until = written_until

    def read(self, windows: Iterable[tuple[Window, bool]]) -> Iterator[pl.DataFrame]:
        """Yield a frame for each window with readings. The flag of a window says whether it has corrections."""
        stored = stored_columns(self._columns)
        sent: deque[tuple[Window, bool]] = deque()

        def queries() -> Iterator[Query]:
            for window, corrected in windows:
                reads_rows = not corrected and self._can_compare_rows(window)
                sent.append((window, reads_rows))
                yield (
                    self._statements.rows(stored, window, written_until=self._written_until)
                    if reads_rows
                    else self._readings(window, corrected=corrected)
                )

        for rows in self._client.frames(queries(), schema_of(self._columns)):
            window, reads_rows = sent.popleft()
            if reads_rows and not frame.is_in_strict_order(rows):
                query = self._readings(window, corrected=True)
                rows = self._client.frame(query, schema_of(self._columns))
            if len(rows):
                yield with_measure_name(rows, self._columns)

    def _readings(self, window: Window, *, corrected: bool) -> Query:
        return self._statements.readings(
            stored_columns(self._columns),
            window,
            corrected=corrected,
            written_until=self._written_until,
        )

    def _can_compare_rows(self, window: Window) -> bool:
        """Return whether the result shows if a reading has several rows.

        Two writers may have inserted the same reading with different arrival times. If the bounds of the arrival time
        exclude the valid row, only the other one is in the result.
        """
        has_bounds = window.arrived_after is not None or window.as_of is not None
        return not has_bounds and set(frame.ORDER) <= set(self._columns)


def read_versions(
    client: Client, statements: Statements, windows: Iterable[Window]
) -> Iterator[pl.DataFrame]:
    """Yield a frame with all versions, in all columns, for each window with readings."""
    columns = frame.FULL_COLUMNS
    queries = (statements.versions(stored_columns(columns), window) for window in windows)
    for rows in client.frames(queries, schema_of(columns)):
        if len(rows):
            yield with_measure_name(rows, columns)
