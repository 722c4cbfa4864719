"""Timestream's SQL for what is asked of a table. Whatever comes from a caller stands in it as a quoted literal.

The service has no parameters to bind; ``PrepareQuery`` only checks a text. Answers are read by the order of their
columns, whose names keep clear of words that SQL has a use for.
"""

from __future__ import annotations

from datetime import datetime

from readings import frame
from readings.window import Position, Window

READ = [name for name in frame.COLUMNS if name != "measure_name"]
"""What is read of a reading; its measure name is what the query asks for."""
LONGEST_QUERY = 262_144
"""Characters, by the service's model."""


def quoted(text: str) -> str:
    """A literal of text."""
    return "'" + text.replace("'", "''") + "'"


def instant(moment: datetime) -> str:
    """A literal of an instant."""
    return f"TIMESTAMP '{frame.format_instant(moment)}'"


def identifier(name: str) -> str:
    """A name of a database, table or column."""
    return '"' + name.replace('"', '""') + '"'


_COLUMNS = ", ".join(identifier(name) for name in READ)
_ORDER = ", ".join(identifier(name) for name in frame.ORDER)


class Statements:
    """The queries of one table."""

    def __init__(self, database: str, table: str) -> None:
        self._table = f"{identifier(database)}.{identifier(table)}"

    def columns(self) -> str:
        """One row for each column, its name first. A table has those that were written to it."""
        return f"DESCRIBE {self._table}"

    def totals(self, start: datetime, end: datetime) -> str:
        """Columns of ``TOTALS_SCHEMA`` for ``start <= time < end``."""
        return (
            "SELECT bin(time, 1m) AS whole_minute, count(*) AS readings, min(time) AS first_time, max(time) AS last_time,"
            " min(arrival_time) AS first_arrival, max(arrival_time) AS last_arrival"
            f" FROM {self._table} WHERE {_OF_READINGS} AND time >= {instant(start)}"
            f" AND time < {instant(end)} GROUP BY bin(time, 1m) ORDER BY 1"
        )

    def counts(self, window: Window) -> str:
        """Columns of ``COUNTS_SCHEMA``."""
        return (
            f"SELECT bin(time, 1m) AS whole_minute, count(*) AS readings FROM {self._table}"
            f" WHERE {conditions(window)} GROUP BY bin(time, 1m) ORDER BY 1"
        )

    def loads(self, window: Window) -> str:
        """Columns of ``LOADS_SCHEMA``."""
        return (
            "SELECT bin(time, 1m) AS whole_minute, count(*) AS readings,"
            " sum(CASE WHEN arrival_time > time THEN 1 ELSE 0 END) AS late, sum(kw) AS kw"
            f" FROM {self._table} WHERE {conditions(window)} GROUP BY bin(time, 1m) ORDER BY 1"
        )

    def hours(self, window: Window) -> str:
        """Columns of ``HOURS_SCHEMA``."""
        return (
            "SELECT bin(time, 1h) AS whole_hour, count(*) AS readings,"
            " sum(CASE WHEN arrival_time > time THEN 1 ELSE 0 END) AS late,"
            " avg(kw) AS kw, avg(vltg) AS vltg, avg(crrnt) AS crrnt, avg(pf) AS pf"
            f" FROM {self._table} WHERE {conditions(window)} GROUP BY bin(time, 1h) ORDER BY 1"
        )

    def readings(self, window: Window, *, limit: int | None = None) -> str:
        """The window's readings in order, the first ``limit`` of them if given."""
        most = "" if limit is None else f" LIMIT {limit}"
        return f"SELECT {_COLUMNS} FROM {self._table} WHERE {conditions(window)} ORDER BY {_ORDER}{most}"

    def readings_behind(self, window: Window, after: Position, *, limit: int) -> str:
        """The first readings behind a position of a window that begins at the position's time."""
        behind = f"(time > {instant(after.time)} OR device_id > {quoted(after.device_id)})"
        return (
            f"SELECT {_COLUMNS} FROM {self._table} WHERE {conditions(window)} AND {behind}"
            f" ORDER BY {_ORDER} LIMIT {limit}"
        )

    def numbered(self, window: Window, *, skip: int, wanted: int) -> str:
        """``wanted`` of the window's readings behind the first ``skip``: the service has no OFFSET."""
        return (
            f"SELECT {_COLUMNS} FROM (SELECT {_COLUMNS}, row_number() OVER (ORDER BY {_ORDER}) AS place"
            f" FROM {self._table} WHERE {conditions(window)})"
            f" WHERE place > {skip} AND place <= {skip + wanted} ORDER BY {_ORDER}"
        )

    def keys(self, start: datetime, end: datetime) -> str:
        """Which readings there are: time and device id, in no order."""
        return f"SELECT {_ORDER} FROM {self._table} WHERE {conditions(Window(start, end))}"

    def days(self) -> str:
        """The columns of ``Snapshot.days``."""
        return (
            "SELECT date_trunc('day', time) AS whole_day, min(time) AS earliest, max(time) AS latest,"
            " count(*) AS readings, count(DISTINCT time) AS intervals,"
            f" count(DISTINCT device_id) AS meters FROM {self._table} WHERE {_OF_READINGS}"
            " GROUP BY date_trunc('day', time) ORDER BY 1"
        )

    def meters(self) -> str:
        """One row, column ``meters``."""
        return f"SELECT count(DISTINCT device_id) AS meters FROM {self._table} WHERE {_OF_READINGS}"

    def unload(self, window: Window, cuts: list[datetime], to: str) -> str:
        """The window's readings as Parquet files below ``to``, a folder for each stretch between the cuts.

        A stretch is named by the second (since 1970) that it begins with.
        """
        starts = [window.start, *cuts]
        earlier = " ".join(
            f"WHEN time < {instant(cut)} THEN '{int(start.timestamp())}'"
            for start, cut in zip(starts, cuts, strict=False)
        )
        last = f"'{int(starts[-1].timestamp())}'"
        stretch = f"CASE {earlier} ELSE {last} END" if cuts else last
        return (
            f"UNLOAD (SELECT {_COLUMNS}, {stretch} AS {STRETCH} FROM {self._table}"
            f" WHERE {conditions(window)}) TO {quoted(to)}"
            f" WITH (format = 'PARQUET', partitioned_by = ARRAY['{STRETCH}'])"
        )


STRETCH = "stretch"
"""The column that :meth:`Statements.unload` divides its files by."""
_OF_READINGS = f"measure_name = {quoted(frame.MEASURE_NAME)}"


def conditions(window: Window) -> str:
    """The window as a WHERE clause."""
    wanted = [_OF_READINGS, f"time >= {instant(window.start)}"]
    if window.end is not None:
        wanted.append(f"time <= {instant(window.end)}")
    if window.device_ids:
        wanted.append(f"device_id IN ({', '.join(quoted(meter) for meter in window.device_ids)})")
    if window.arrived_after is not None:
        wanted.append(f"arrival_time > {instant(window.arrived_after)}")
    if window.as_of is not None:
        wanted.append(f"arrival_time <= {instant(window.as_of)}")
    return " AND ".join(wanted)
